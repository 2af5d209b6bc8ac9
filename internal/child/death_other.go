//go:build !linux

package child

import (
	"os"
	"syscall"
)

func dieWithParent(*syscall.SysProcAttr, os.Signal) {}

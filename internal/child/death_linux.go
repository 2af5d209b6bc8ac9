package child

import (
	"os"
	"syscall"
)

func dieWithParent(attr *syscall.SysProcAttr, stop os.Signal) {
	if sig, ok := stop.(syscall.Signal); ok {
		attr.Pdeathsig = sig
	}
}

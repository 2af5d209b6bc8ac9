package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// owner is the user the server runs as; nil attributes mean: as ourselves.
type owner struct {
	name     string
	uid, gid int
	other    bool // not the user we are
}

// findOwner picks ourselves, or under root the postgres user, else nobody.
func findOwner() (owner, error) {
	if os.Geteuid() != 0 {
		return owner{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(found.Uid)
		gid, gidErr := strconv.Atoi(found.Gid)
		if errors.Join(uidErr, gidErr) == nil && uid != 0 {
			return owner{name: name, uid: uid, gid: gid, other: true}, nil
		}
	}
	return owner{}, errors.New("PostgreSQL refuses to run as root and there is neither a user `postgres` nor `nobody`: " +
		"create one with `useradd --system postgres`, or run as an ordinary user")
}

func (o owner) attributes() *syscall.SysProcAttr {
	if !o.other {
		return &syscall.SysProcAttr{}
	}
	credential := &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.gid)}
	return &syscall.SysProcAttr{Credential: credential}
}

// mkdir makes a folder only the owner can enter.
func (o owner) mkdir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if !o.other {
		return nil
	}
	return os.Chown(dir, o.uid, o.gid)
}

// canReach reports whether the owner may pass through every folder above path.
func (o owner) canReach(path string) bool {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, os.ErrNotExist): // will be made, and by us
			return o.canReach(dir)
		case err != nil || !o.mayPass(info):
			return false
		case dir == filepath.Dir(dir):
			return true
		}
	}
}

func (o owner) mayPass(info os.FileInfo) bool {
	const forUser, forGroup, forOthers = 0o100, 0o010, 0o001
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	switch {
	case int(stat.Uid) == o.uid:
		return info.Mode()&forUser != 0
	case int(stat.Gid) == o.gid:
		return info.Mode()&forGroup != 0
	default:
		return info.Mode()&forOthers != 0
	}
}

// Locate returns the folder that really holds the data of a server asked to
// keep it in dataDir: the folder itself, or under root, when the server's user
// could not reach it, a folder of its own in /var/lib/suanpan.
func Locate(dataDir string) (string, error) {
	abs, err := filepath.Abs(dataDir)
	if err != nil {
		return "", err
	}
	who, err := findOwner()
	if err != nil {
		return "", err
	}
	if !who.other || who.canReach(abs) {
		return abs, nil
	}
	sum := sha256.Sum256([]byte(abs))
	moved := filepath.Join("/var/lib/suanpan", hex.EncodeToString(sum[:6]))
	if !who.canReach(moved) {
		return "", fmt.Errorf("PostgreSQL runs as user %s, who can reach neither %s nor %s: "+
			"make one of them passable (chmod o+x)", who.name, abs, moved)
	}
	return moved, nil
}

// writeSecret makes a file that only the owner (and root) can read.
func (o owner) writeSecret(file, content string) error {
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		return err
	}
	if !o.other {
		return nil
	}
	return os.Chown(file, o.uid, o.gid)
}

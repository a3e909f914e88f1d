//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package filestore

import (
	"errors"
	"os"
)

const hasLocks = false

func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func rename(from, to string) error { return os.Rename(from, to) }

func syncDir(string) error { return nil }

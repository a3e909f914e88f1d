package filestore

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"
)

const hasLocks = true

var lockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

const (
	lockfileFailImmediately = 1
	lockfileExclusiveLock   = 2

	errSharingViolation syscall.Errno = 32
	errLockViolation    syscall.Errno = 33
)

// tryLock tries to lock f and reports whether it succeeded. The lock is released when f is closed or the process ends.
func tryLock(f *os.File) (bool, error) {
	var overlapped syscall.Overlapped
	ok, _, err := lockFileEx.Call(f.Fd(), lockfileExclusiveLock|lockfileFailImmediately, 0, 1, 0, uintptr(unsafe.Pointer(&overlapped)))
	switch {
	case ok != 0:
		return true, nil
	case errors.Is(err, errLockViolation), errors.Is(err, syscall.ERROR_IO_PENDING):
		return false, nil
	}
	return false, err
}

// rename retries for a moment, because Windows refuses to rename while another process reads the file.
func rename(from, to string) error {
	for deadline := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		err := os.Rename(from, to)
		if err == nil || time.Now().After(deadline) ||
			!errors.Is(err, syscall.ERROR_ACCESS_DENIED) && !errors.Is(err, errSharingViolation) {
			return err
		}
	}
}

// syncDir does nothing, because Windows has no fsync of a directory.
func syncDir(string) error { return nil }

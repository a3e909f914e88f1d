//go:build linux || darwin

package filestore_test

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/grantwright/oauth-go/tokens/filestore"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// If a record cannot be written, as on a full disk, the one before stays, and no part of the new one.
func TestRecordThatCannotBeWritten(t *testing.T) {
	s, dir := newStore(t)
	require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "", record("1", "v"), 0))
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullDiskProcess$")
	cmd.Env = append(os.Environ(), "FILESTORE_TEST_DIR="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	r, err := s.Load(t.Context(), "abc")
	require.NoError(t, err)
	assert.Equal(t, record("1", "v"), r)
	left, err := filepath.Glob(filepath.Join(dir, "*.tmp"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

// TestFullDiskProcess is what TestRecordThatCannotBeWritten starts: a process that cannot write to files.
func TestFullDiskProcess(t *testing.T) {
	dir := os.Getenv("FILESTORE_TEST_DIR")
	if dir == "" {
		t.Skip("runs in the process that TestRecordThatCannotBeWritten starts")
	}
	s, err := filestore.New(dir)
	require.NoError(t, err)
	signal.Ignore(syscall.SIGXFSZ) // so that writes fail
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{}))
	require.ErrorIs(t, s.CompareAndSwap(t.Context(), "abc", "1", record("2", "w"), 0), syscall.EFBIG)
}

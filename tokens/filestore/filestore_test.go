package filestore_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/filestore"
	"github.com/grantwright/oauth-go/tokens/storetest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func record(version, value string) tokens.Record {
	return tokens.Record{Version: version, Value: []byte(value)}
}

func newStore(t *testing.T) (*filestore.Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tokens")
	s, err := filestore.New(dir)
	require.NoError(t, err)
	return s, dir
}

func TestStore(t *testing.T) {
	dir := t.TempDir()
	storetest.Run(t, func(t *testing.T) tokens.Store {
		s, err := filestore.New(dir)
		require.NoError(t, err)
		return s
	})
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no mode bits")
	}
	s, dir := newStore(t)
	require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "", record("1", "v"), 0))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), e.Name())
		assert.NotContains(t, e.Name(), "tmp", "no temporary file is left")
	}
}

func TestCorruptFileIsKeptAndReportedOnce(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "cut": `{"format":1,"key":"abc","ver`, "not JSON": "x", "another key": `{"format":1,"key":"def","version":"1","value":""}`,
		"no version": `{"format":1,"key":"abc","value":""}`, "no format": `{"key":"abc","version":"1","value":""}`,
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := newStore(t)
			path := filepath.Join(dir, "abc.json")
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))

			_, err := s.Load(t.Context(), "abc")
			var corrupt *filestore.CorruptError
			require.ErrorAs(t, err, &corrupt)
			require.ErrorContains(t, err, corrupt.Path)
			kept, err := os.ReadFile(corrupt.Path)
			require.NoError(t, err)
			assert.Equal(t, content, string(kept))

			r, err := s.Load(t.Context(), "abc")
			require.NoError(t, err)
			assert.Zero(t, r)
			require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "", record("1", "v"), 0))

			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			err = s.CompareAndSwap(t.Context(), "abc", "", record("2", "v"), 0)
			require.ErrorAs(t, err, &corrupt, "a swap reports it too")
		})
	}
}

// A corrupt file that cannot be renamed is not reported as one that was, and stays.
func TestCorruptFileThatCannotBeRenamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // time stands still, and with it the new name
		s, dir := newStore(t)
		path := filepath.Join(dir, "abc.json")
		require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
		_, err := s.Load(t.Context(), "abc")
		var corrupt *filestore.CorruptError
		require.ErrorAs(t, err, &corrupt)
		require.NoError(t, os.Remove(corrupt.Path))
		require.NoError(t, os.Mkdir(corrupt.Path, 0o700))
		require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
		for range 2 {
			_, err = s.Load(t.Context(), "abc")
			require.ErrorContains(t, err, "renaming a file that is not a record")
			require.NotErrorAs(t, err, &corrupt)
		}
	})
}

// A file that cannot be read or locked is an error, and neither an absent record nor a conflict.
func TestFilesThatCannotBeOpened(t *testing.T) {
	s, dir := newStore(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "abc.json"), 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "def.json.lock"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "def.json"), []byte("x"), 0o600))
	for _, key := range []string{"abc", "def"} {
		var failed *fs.PathError
		_, err := s.Load(t.Context(), key)
		require.ErrorAs(t, err, &failed, key)
		err = s.CompareAndSwap(t.Context(), key, "", record("1", "v"), 0)
		require.ErrorAs(t, err, &failed, key)
		require.NotErrorIs(t, err, tokens.ErrConflict)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "def.json"))
	require.NoError(t, err)
	assert.Equal(t, "x", string(kept), "without the lock, a corrupt file is not renamed")
}

func TestDirectoryThatCannotBeMade(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	var failed *fs.PathError
	_, err := filestore.New(filepath.Join(dir, "file", "tokens"))
	require.ErrorAs(t, err, &failed)
	if runtime.GOOS == "windows" {
		return // the working directory cannot be removed there
	}
	gone := filepath.Join(dir, "gone")
	require.NoError(t, os.Mkdir(gone, 0o700))
	t.Chdir(gone)
	require.NoError(t, os.Remove(gone))
	_, err = filestore.New("tokens")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestNewerFormatIsLeftAlone(t *testing.T) {
	s, dir := newStore(t)
	path := filepath.Join(dir, "abc.json")
	content := `{"format":2,"key":"abc","version":"1","value":"dg=="}`
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	_, err := s.Load(t.Context(), "abc")
	require.ErrorContains(t, err, "has format 2; this release reads up to 1")
	for _, old := range []string{"1", ""} {
		require.ErrorContains(t, s.CompareAndSwap(t.Context(), "abc", old, record("2", "v"), 0), "has format 2")
	}
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, content, string(kept))
}

func TestRecordOutlivesTheStoreValue(t *testing.T) {
	s, dir := newStore(t)
	require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "", record("1", "v"), 0))
	again, err := filestore.New(dir)
	require.NoError(t, err)
	r, err := again.Load(t.Context(), "abc")
	require.NoError(t, err)
	assert.Equal(t, record("1", "v"), r)
}

func TestBadInput(t *testing.T) {
	_, err := filestore.New("")
	require.EqualError(t, err, "filestore: the directory is empty; pass a path such as ~/.config/name/tokens")
	for _, zero := range []*filestore.Store{nil, {}} {
		_, err = zero.Load(t.Context(), "abc")
		require.ErrorContains(t, err, "make one with New")
	}
	s, _ := newStore(t)
	for _, key := range []string{"", "../x", "ABC", strings.Repeat("a", 65)} {
		_, err := s.Load(t.Context(), key)
		require.ErrorContains(t, err, "the key must be", key)
		require.ErrorContains(t, s.CompareAndSwap(t.Context(), key, "", record("1", ""), 0), "the key must be", key)
	}
	require.ErrorContains(t, s.CompareAndSwap(t.Context(), "abc", "", record("", ""), 0), "the version must be")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Load(ended, "abc")
	require.ErrorIs(t, err, context.Canceled)
}

func TestWaitingForTheLockEndsWithTheContext(t *testing.T) {
	s, dir := newStore(t)
	holder := exec.Command(os.Args[0], "-test.run=^TestHolderProcess$")
	holder.Env = append(os.Environ(), "FILESTORE_TEST_DIR="+dir)
	out, err := holder.StdoutPipe()
	require.NoError(t, err)
	in, err := holder.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	_, err = out.Read(make([]byte, 1)) // the process holds the lock now
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = s.CompareAndSwap(ctx, "abc", "", record("1", "v"), 0)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, tokens.ErrConflict)

	// The lock of a killed process is released.
	require.NoError(t, holder.Process.Kill())
	_ = in.Close()
	_ = holder.Wait()
	require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "", record("1", "v"), 0))
}

// Each of eight processes increments a counter fifty times; no increment may be lost.
func TestProcessesAgree(t *testing.T) {
	const processes, each = 8, 50
	s, dir := newStore(t)
	var running sync.WaitGroup
	for range processes {
		running.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestCounterProcess$")
			cmd.Env = append(os.Environ(), "FILESTORE_TEST_DIR="+dir)
			out, err := cmd.CombinedOutput()
			assert.NoError(t, err, string(out))
		})
	}
	running.Wait()
	r, err := s.Load(t.Context(), "abc")
	require.NoError(t, err)
	assert.Len(t, r.Value, processes*each)
}

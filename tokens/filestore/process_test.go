package filestore_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/filestore"
	"github.com/stretchr/testify/require"
)

// TestCounterProcess is run by the processes of TestProcessesAgree: it adds one byte to the record fifty times.
func TestCounterProcess(t *testing.T) {
	dir := os.Getenv("FILESTORE_TEST_DIR")
	if dir == "" {
		t.Skip("runs in the processes that TestProcessesAgree starts")
	}
	s, err := filestore.New(dir)
	require.NoError(t, err)
	for added := 0; added < 50; {
		r, err := s.Load(t.Context(), "abc")
		require.NoError(t, err)
		var version [16]byte
		_, _ = rand.Read(version[:])
		next := tokens.Record{Version: hex.EncodeToString(version[:]), Value: append(r.Value, '.')}
		err = s.CompareAndSwap(t.Context(), "abc", r.Version, next, 0)
		if errors.Is(err, tokens.ErrConflict) {
			continue
		}
		require.NoError(t, err)
		added++
	}
}

// TestHolderProcess is what TestWaitingForTheLockEndsWithTheContext starts: it holds the lock until it is killed.
func TestHolderProcess(t *testing.T) {
	dir := os.Getenv("FILESTORE_TEST_DIR")
	if dir == "" {
		t.Skip("runs in the process that TestWaitingForTheLockEndsWithTheContext starts")
	}
	unlock, err := filestore.Lock(t.Context(), filepath.Join(dir, "abc.json.lock"))
	require.NoError(t, err)
	defer unlock()
	fmt.Print(".")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

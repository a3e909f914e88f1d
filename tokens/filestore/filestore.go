// Package filestore implements a [tokens.Store] on files, for command-line programs and for processes on one machine.
// It needs no database.
//
//	store, err := filestore.New(filepath.Join(configDir, "tokens"))
//	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Store: store, Session: "default"})
//
// Each record is a file in one directory, readable only by its owner (mode 0600). A record is replaced by renaming a
// new file over the old one after fsync, under a lock of the operating system, which is released when the process ends.
// A record therefore survives a crash of the process and of the machine, and all processes on the machine see the same
// records. Linux, macOS, the BSDs and Windows have such locks; elsewhere New fails. On a network file system the locks
// may not be reliable; use a database there.
//
// The tokens in the files are not encrypted; use tokens.Sealed for that.
package filestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/grantwright/oauth-go/tokens"
)

// A Store keeps records in a directory. It is safe for concurrent use, including by several processes. Every call of
// the zero Store fails; make a Store with [New].
type Store struct{ dir string }

// New returns a Store in dir. It creates dir, with mode 0700, if it does not exist.
func New(dir string) (*Store, error) {
	if dir == "" {
		return nil, errors.New("filestore: the directory is empty; pass a path such as ~/.config/name/tokens")
	}
	if !hasLocks {
		return nil, fmt.Errorf("filestore: files cannot be locked on this operating system: %w", errors.ErrUnsupported)
	}
	absolute, err := filepath.Abs(dir) // independent of the working directory
	if err != nil {
		return nil, fmt.Errorf("filestore: %w", err)
	}
	if err := os.MkdirAll(absolute, 0o700); err != nil {
		return nil, fmt.Errorf("filestore: %w", err)
	}
	return &Store{absolute}, nil
}

// file is the content of a record's file.
type file struct {
	Format  int       `json:"format"`
	Key     string    `json:"key"`
	Version string    `json:"version"`
	Expires time.Time `json:"expires,omitzero"`
	Value   []byte    `json:"value"`
}

// format is the file format that this package writes, and the newest one that it reads.
const format = 1

// A CorruptError says that a file was not a valid record. The file was renamed, so that nothing in it is lost, and its
// record now counts as absent.
type CorruptError struct {
	Path string // the new path of the file
}

// Error returns a text that names the file.
func (e *CorruptError) Error() string {
	return "filestore: a file was not a record and was moved to " + e.Path
}

// Load returns the record of key, or a zero Record. If the file is not a record, Load renames it and returns a
// [*CorruptError], once.
func (s *Store) Load(ctx context.Context, key string) (tokens.Record, error) {
	path, err := s.path(key)
	if err != nil {
		return tokens.Record{}, err
	}
	if err := ctx.Err(); err != nil {
		return tokens.Record{}, err
	}
	f, err := read(path, key)
	if !errors.Is(err, errCorrupt) {
		return f.record(), err
	}
	unlock, err := lock(ctx, path+".lock")
	if err != nil {
		return tokens.Record{}, err
	}
	defer unlock()
	if f, err = s.readLocked(path, key); err != nil {
		return tokens.Record{}, err
	}
	return f.record(), nil
}

// CompareAndSwap implements [tokens.Store]. It waits for the lock until ctx ends.
func (s *Store) CompareAndSwap(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
	path, err := s.path(key)
	if err != nil {
		return err
	}
	if !hexadecimal.MatchString(next.Version) {
		return errors.New("filestore: the version must be 1 to 64 characters of 0-9 and a-f")
	}
	unlock, err := lock(ctx, path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	current, err := s.readLocked(path, key)
	if err != nil {
		return err
	}
	if current.record().Version != old {
		return tokens.ErrConflict
	}
	f := file{Format: format, Key: key, Version: next.Version, Value: next.Value}
	if ttl > 0 {
		f.Expires = time.Now().Add(ttl)
	}
	return s.write(path, f)
}

var hexadecimal = regexp.MustCompile(`^[0-9a-f]{1,64}$`)

func (s *Store) path(key string) (string, error) {
	if s == nil || s.dir == "" {
		return "", errors.New("filestore: the zero Store cannot be used; make one with New")
	}
	if !hexadecimal.MatchString(key) {
		return "", errors.New("filestore: the key must be 1 to 64 characters of 0-9 and a-f")
	}
	return filepath.Join(s.dir, key+".json"), nil
}

// record returns the record in f, or a zero Record if it has expired.
func (f file) record() tokens.Record {
	if f.Version == "" || !f.Expires.IsZero() && !time.Now().Before(f.Expires) {
		return tokens.Record{}
	}
	return tokens.Record{Version: f.Version, Value: f.Value}
}

var errCorrupt = errors.New("filestore: not a record")

// read returns the file at path, or a zero file if there is none.
func read(path, key string) (file, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return file{}, nil
	}
	if err != nil {
		return file{}, fmt.Errorf("filestore: %w", err)
	}
	var f file
	if json.Unmarshal(data, &f) != nil || f.Format < 1 {
		return file{}, errCorrupt
	}
	if f.Format > format {
		return file{}, fmt.Errorf("filestore: %s has format %d; this release reads up to %d", path, f.Format, format)
	}
	if f.Key != key || !hexadecimal.MatchString(f.Version) {
		return file{}, errCorrupt
	}
	return f, nil
}

// readLocked is read for a caller that holds the lock; it may therefore rename a corrupt file.
func (s *Store) readLocked(path, key string) (file, error) {
	f, err := read(path, key)
	if !errors.Is(err, errCorrupt) {
		return f, err
	}
	aside := fmt.Sprintf("%s.corrupt-%d", path, time.Now().UnixNano())
	if err := rename(path, aside); err != nil {
		return file{}, fmt.Errorf("filestore: renaming a file that is not a record: %w", err)
	}
	return file{}, errors.Join(&CorruptError{aside}, syncDir(s.dir))
}

// write atomically replaces the file at path with f.
func (s *Store) write(path string, f file) (err error) {
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("filestore: %w", err)
	}
	tmp, err := os.CreateTemp(s.dir, f.Key+".*.tmp") // mode 0600
	if err != nil {
		return fmt.Errorf("filestore: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("filestore: %w", err)
	}
	return syncDir(s.dir)
}

// lock takes the lock at path, and returns a function that releases it. It waits until ctx ends.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("filestore: %w", err)
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		taken, err := tryLock(f)
		if err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("filestore: locking: %w", err)
		}
		if taken {
			return func() { _ = f.Close() }, nil // closing releases the lock
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			_ = f.Close()
			return nil, fmt.Errorf("filestore: waiting for the lock: %w", context.Cause(ctx))
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// maxDescription is far larger than the largest published description (4 MB).
const maxDescription = 64 << 20

// reader reads descriptions.
type reader struct {
	stdin  io.Reader
	allow  []string // prefixes of URIs that references may use
	client *http.Client
}

func newReader(stdin io.Reader, allow []string) (*reader, error) {
	r := &reader{stdin: stdin, client: &http.Client{Timeout: time.Minute}}
	for _, prefix := range allow {
		uri, err := uriOf(prefix)
		if err != nil {
			return nil, err
		}
		r.allow = append(r.allow, uri)
	}
	return r, nil
}

// read returns the description in a file, at a URL or, for "-", on standard input.
func (r *reader) read(ctx context.Context, from string) (*openapi.Document, error) {
	load := func(uri string) ([]byte, error) {
		if !slices.ContainsFunc(r.allow, func(prefix string) bool { return strings.HasPrefix(uri, prefix) }) {
			return nil, errors.New("not allowed")
		}
		return r.get(ctx, uri)
	}
	if from == "-" {
		data, err := limited(r.stdin)
		if err != nil {
			return nil, fmt.Errorf("specsync: standard input: %w", err)
		}
		return openapi.ParseAt("", data, load)
	}
	uri, err := uriOf(from)
	if err != nil {
		return nil, err
	}
	data, err := r.get(ctx, uri)
	if err != nil {
		return nil, fmt.Errorf("specsync: %s: %w", from, err)
	}
	doc, err := openapi.ParseAt(uri, data, load)
	if err != nil {
		return nil, fmt.Errorf("specsync: %s: %w", from, err)
	}
	return doc, nil
}

// uriOf returns a URL unchanged, and a file name as a file URL.
func uriOf(from string) (string, error) {
	if strings.HasPrefix(from, "https://") || strings.HasPrefix(from, "http://") {
		return from, nil
	}
	file, err := filepath.Abs(from)
	if err != nil {
		return "", fmt.Errorf("specsync: %w", err)
	}
	file = filepath.ToSlash(file)
	if !strings.HasPrefix(file, "/") { // C:/
		file = "/" + file
	}
	return (&url.URL{Scheme: "file", Path: file}).String(), nil
}

func (r *reader) get(ctx context.Context, uri string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, err
	}
	if req.URL.Scheme == "file" {
		file := filepath.FromSlash(req.URL.Path)
		if filepath.VolumeName(strings.TrimLeft(file, `\/`)) != "" {
			file = strings.TrimLeft(file, `\/`)
		}
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		return limited(f)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server responds with %s", resp.Status)
	}
	return limited(resp.Body)
}

func limited(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxDescription+1))
	if len(data) > maxDescription {
		err = fmt.Errorf("more than %d bytes", maxDescription)
	}
	return data, err
}

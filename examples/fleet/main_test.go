package main

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The workers run this test binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-worker" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestFleetGoesOnWithoutAWorker(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"-workers", "3", "-for", "9s", "-life", "4s"}, &out))
	text := out.String()
	t.Log(text)
	assert.Contains(t, text, "worker-1 is killed")
	assert.Contains(t, text, "1: dead")
	last := regexp.MustCompile(`(\d+) token requests in`).FindStringSubmatch(text)
	require.NotNil(t, last)
	requests, err := strconv.Atoi(last[1])
	require.NoError(t, err)
	assert.Positive(t, requests)
	assert.LessOrEqual(t, requests, 5, "tokens live for 4 s, so 9 s need about three requests, whatever the number of workers")

	// In the last line before the end, both remaining workers have a token.
	lines := strings.Split(strings.TrimSpace(text), "\n")
	held := regexp.MustCompile(`\| \d: ([0-9a-f]{4}) for`).FindAllStringSubmatch(lines[len(lines)-2], -1)
	require.Len(t, held, 2, lines[len(lines)-2])
}

func TestBadInput(t *testing.T) {
	require.EqualError(t, run(t.Context(), []string{"-workers", "1"}, &strings.Builder{}), "-workers must be at least 2: one of them is killed")
}

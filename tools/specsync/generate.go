package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// generated returns the file of the vendor's generated code, relative to root, and the command for it in gen/generate.go.
func generated(root, vendor string) (file string, command []string, err error) {
	data, err := os.ReadFile(filepath.Join(root, "gen", "generate.go"))
	if err != nil {
		return "", nil, fmt.Errorf("specsync: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		out := slices.Index(fields, "-o") + 1
		if out > 0 && fields[0] == "//go:generate" && fields[len(fields)-1] == "../api/"+vendor+".yaml" {
			return filepath.Join("gen", filepath.FromSlash(fields[out])), fields[1:], nil
		}
	}
	return "", nil, fmt.Errorf("specsync: gen/generate.go has no line for api/%s.yaml", vendor)
}

// generate returns the code that gen/generate.go would generate from a description. It writes nothing below root.
func generate(ctx context.Context, root, vendor, spec string) (source []byte, err error) {
	_, command, err := generated(root, vendor)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "specsync")
	if err != nil {
		return nil, fmt.Errorf("specsync: %w", err)
	}
	defer func() { err = cmp.Or(err, os.RemoveAll(dir)) }()
	in, out := filepath.Join(dir, vendor+".yaml"), filepath.Join(dir, vendor+".gen.go")
	if err := os.WriteFile(in, []byte(spec), 0o600); err != nil {
		return nil, err
	}
	command[slices.Index(command, "-o")+1] = out
	command[len(command)-1] = in
	command, err = resolveTool(ctx, filepath.Join(root, "gen"), command)
	if err != nil {
		return nil, err
	}
	if message, err := run(ctx, filepath.Join(root, "gen"), command...); err != nil {
		return nil, fmt.Errorf("the generator refuses the merged description: %w\n%s", err, strings.TrimSpace(message))
	}
	return os.ReadFile(out)
}

// programs caches what resolveTool finds: starting "go tool" takes longer than generating.
var programs sync.Map

// resolveTool replaces "go tool [flags] name" at the start of a command by the program that go tool would run.
func resolveTool(ctx context.Context, dir string, command []string) ([]string, error) {
	if command[0] != "go" || command[1] != "tool" {
		return command, nil
	}
	end := 2 + slices.IndexFunc(command[2:], func(word string) bool { return !strings.HasPrefix(word, "-") }) + 1
	key := dir + "\x00" + strings.Join(command[:end], "\x00")
	program, ok := programs.Load(key)
	if !ok {
		printed, err := run(ctx, dir, slices.Insert(slices.Clone(command[:end]), 2, "-n")...)
		if err != nil {
			return nil, fmt.Errorf("specsync: %w\n%s", err, strings.TrimSpace(printed))
		}
		program = strings.TrimSpace(printed)
		programs.Store(key, program)
	}
	return append([]string{program.(string)}, command[end:]...), nil //nolint:forcetypeassert // nothing else is stored
}

// run runs a command in dir and returns its output.
func run(ctx context.Context, dir string, command ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.Join(command, " "), err)
	}
	return string(out), err
}

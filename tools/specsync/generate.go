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
)

// generated returns the file of the vendor's generated code, and the command for it in gen/generate.go.
func generated(root, vendor string) (file string, command []string, err error) {
	data, err := os.ReadFile(filepath.Join(root, "gen", "generate.go"))
	if err != nil {
		return "", nil, err
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		out := slices.Index(fields, "-o") + 1
		if len(fields) > 2 && fields[0] == "//go:generate" && fields[len(fields)-1] == "../api/"+vendor+".yaml" && out > 0 {
			return filepath.Join(root, "gen", filepath.FromSlash(fields[out])), fields[1:], nil
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
	if message, err := run(ctx, filepath.Join(root, "gen"), command...); err != nil {
		return nil, fmt.Errorf("the generator refuses the merged description: %w\n%s", err, strings.TrimSpace(message))
	}
	return os.ReadFile(out)
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

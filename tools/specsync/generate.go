package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// generated returns where the vendor's generated code is, and the command that gen/generate.go has for it.
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

// generate runs the generator as gen/generate.go does, but on another description and into dir.
func generate(ctx context.Context, root, vendor, spec, dir string) (source []byte, err error) {
	_, command, err := generated(root, vendor)
	if err != nil {
		return nil, err
	}
	in, out := filepath.Join(dir, vendor+".yaml"), filepath.Join(dir, vendor+".gen.go")
	if err := os.WriteFile(in, []byte(spec), 0o600); err != nil {
		return nil, err
	}
	command[slices.Index(command, "-o")+1] = out
	command[len(command)-1] = in
	if message, err := run(ctx, filepath.Join(root, "gen"), command...); err != nil {
		return nil, fmt.Errorf("the generator refuses the merged description: %w\n%s", err, message)
	}
	return os.ReadFile(out)
}

// compileErrors builds the module with other generated code for a vendor, which is not written into it, and returns
// what the compiler says that it does not say as the module is, one line each.
func compileErrors(ctx context.Context, root, vendor string, source []byte, dir string) ([]string, error) {
	file, _, err := generated(root, vendor)
	if err != nil {
		return nil, err
	}
	if file, err = filepath.Abs(file); err != nil {
		return nil, err
	}
	replacement := filepath.Join(dir, "overlay.gen.go")
	if err := os.WriteFile(replacement, source, 0o600); err != nil {
		return nil, err
	}
	overlay := filepath.Join(dir, "overlay.json")
	data, err := json.Marshal(map[string]map[string]string{"Replace": {file: replacement}})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(overlay, data, 0o600); err != nil {
		return nil, err
	}
	before, err := build(ctx, root)
	if err != nil {
		return nil, err
	}
	after, err := build(ctx, root, "-overlay", overlay)
	return slices.DeleteFunc(after, func(line string) bool { return slices.Contains(before, line) }), err
}

// build compiles the module and returns the errors that the compiler finds.
func build(ctx context.Context, root string, flags ...string) ([]string, error) {
	command := append([]string{"go", "build", "-trimpath", "-gcflags=-e"}, flags...)
	message, err := run(ctx, root, append(command, "./...")...)
	if err == nil {
		return nil, nil
	}
	var all []string
	for line := range strings.Lines(message) {
		if line = strings.TrimSpace(line); strings.Contains(line, ".go:") {
			all = append(all, line)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("specsync: %w\n%s", err, message)
	}
	return all, nil
}

// run runs a command in dir and returns what it prints.
func run(ctx context.Context, dir string, command ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.Join(command, " "), err)
	}
	return string(out), err
}

// Command specsync follows the vendors' published descriptions. It compares api/<vendor>.yaml with a published
// description and reports the changes and their effect on this module. With -write it merges the structure, but keeps
// our descriptions in words.
//
//	specsync -vendor sailpoint -from https://example.com/openapi.yaml
//	specsync -vendor moov -from openapi.json -write
//	specsync                          # every vendor, from the sources in specsync.yaml
//
// It exits with 0 if nothing changed, 1 if no change is breaking, 2 if a change is breaking or the code cannot be
// generated, and 3 if a description cannot be read. Build the command to see these codes; go run always exits with 1.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

const (
	exitNone = iota
	exitChanged
	exitBreaking
	exitUnread
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := specsync(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the command-line options.
type options struct {
	root, vendor, from, format string
	write                      bool
	allow                      []string
}

func specsync(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("specsync", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.vendor, "vendor", "", "`name` of api/<name>.yaml; every vendor of specsync.yaml if empty")
	flags.StringVar(&o.from, "from", "", "`file`, URL or - for standard input; what specsync.yaml says if empty")
	flags.StringVar(&o.format, "format", "text", "text, json or markdown")
	flags.StringVar(&o.root, "root", "", "`directory` of the module; the nearest above the working directory if empty")
	flags.BoolVar(&o.write, "write", false, "merge the structure into api/<vendor>.yaml and generate, if what is generated compiles")
	flags.Func("allow-ref", "follow references to other documents whose URL or file name starts with `prefix`", func(prefix string) error {
		o.allow = append(o.allow, prefix)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return exitUnread
	}
	code, err := o.run(ctx, stdin, stdout)
	if err != nil {
		fmt.Fprintln(stderr, err)
	}
	return code
}

func (o options) run(ctx context.Context, stdin io.Reader, stdout io.Writer) (int, error) {
	show, ok := formats[o.format]
	switch {
	case !ok:
		return exitUnread, fmt.Errorf("specsync: -format %s: want text, json or markdown", o.format)
	case o.from != "" && o.vendor == "":
		return exitUnread, errors.New("specsync: -from needs -vendor")
	}
	root, err := findRoot(o.root)
	if err != nil {
		return exitUnread, err
	}
	c, err := readConfig(root)
	if err != nil {
		return exitUnread, err
	}
	in, err := newReader(stdin, o.allow)
	if err != nil {
		return exitUnread, err
	}
	names := []string{o.vendor}
	if o.vendor == "" {
		names = slices.Sorted(maps.Keys(c.Vendors))
	}
	code, failed := exitNone, error(nil)
	for _, name := range names {
		from := cmp.Or(o.from, c.Vendors[name].From)
		if from == "" && o.vendor == "" { // the vendor publishes nothing
			continue
		}
		r, err := o.sync(ctx, root, c, name, from, in)
		if err != nil {
			code, failed = exitUnread, errors.Join(failed, err)
			continue
		}
		if err := show(stdout, r); err != nil {
			return exitUnread, err
		}
		code = max(code, r.exit())
	}
	return code, failed
}

// findRoot returns the directory of the module.
func findRoot(root string) (string, error) {
	if root != "" {
		return root, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("specsync: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "gen", "generate.go")); err == nil {
			return dir, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", errors.New("specsync: no gen/generate.go in the working directory or above; give -root")
		}
		dir = above
	}
}

// sync compares one vendor's description, and merges it if that is asked for.
func (o options) sync(ctx context.Context, root string, c *config, name, from string, in *reader) (*report, error) {
	v, ok := c.Vendors[name]
	if !ok {
		return nil, fmt.Errorf("specsync: specsync.yaml has no vendor %q", name)
	}
	if from == "" {
		return nil, fmt.Errorf("specsync: %s: no -from and none in specsync.yaml. %s", name, v.Note)
	}
	theirs, err := in.read(ctx, from)
	if err != nil {
		return nil, err
	}
	s := session{root: root, name: name, config: c, theirs: theirs}
	if err := s.read(); err != nil {
		return nil, err
	}
	r, err := s.compare(ctx, from)
	if err != nil || !o.write {
		return r, err
	}
	return r, s.write(r)
}

// session is the state of the work on one vendor.
type session struct {
	root, name string
	config     *config
	theirs     *openapi.Document
	check      *checker // nil until needed

	ours   string // the text of api/<vendor>.yaml
	file   string // of the code generated from ours, relative to root
	before []byte // its content

	merged string // ours with the vendor's structure
	after  []byte // the code generated from merged, if it compiles
}

func (s *session) spec() string { return filepath.Join(s.root, "api", s.name+".yaml") }
func (s *session) code() string { return filepath.Join(s.root, s.file) }

func (s *session) options() openapi.Options {
	v := s.config.Vendors[s.name]
	return openapi.Options{
		Path:   func(path string) string { return apply(v.Paths, path) },
		Server: func(url string) string { return apply(v.Servers, url) },
	}
}

// read reads our description and the code generated from it.
func (s *session) read() error {
	data, err := os.ReadFile(s.spec())
	if err != nil {
		return fmt.Errorf("specsync: %w", err)
	}
	s.ours = string(data)
	if s.file, _, err = generated(s.root, s.name); err != nil {
		return err
	}
	if s.before, err = os.ReadFile(s.code()); err != nil {
		return fmt.Errorf("specsync: %w", err)
	}
	return nil
}

// merge merges the vendor's structure into ours, and returns the decisions that are left to a person.
func (s *session) merge() (decide []string, err error) {
	s.merged, decide, err = merge(s.ours, s.theirs, s.config, s.options())
	return decide, err
}

// compare reports the changes, and the effect of merging them on the generated code and its importers.
func (s *session) compare(ctx context.Context, from string) (*report, error) {
	ours, err := openapi.Parse([]byte(s.ours))
	if err != nil {
		return nil, fmt.Errorf("specsync: %s: %w", s.spec(), err)
	}
	met := openapi.Match(ours, s.theirs, s.options().Path)
	if len(met) == 0 {
		return nil, fmt.Errorf("specsync: %s has none of the operations of api/%s.yaml: is it the right description?", from, s.name)
	}
	for _, op := range met {
		if err := op[1].Check(); err != nil {
			return nil, fmt.Errorf("specsync: %s: %w", from, err)
		}
	}
	result := openapi.Compare(ours, s.theirs, s.options())
	r := newReport(s.name, from, result, s.config)
	r.watch(result, s.config, s.config.Vendors[s.name])
	if r.Decide, err = s.merge(); err != nil || s.merged == s.ours {
		return r, err
	}
	return r, s.compareGo(ctx, r)
}

// compareGo generates code from the merged description and compiles it and its importers, without writing it.
func (s *session) compareGo(ctx context.Context, r *report) error {
	after, err := generate(ctx, s.root, s.name, s.merged)
	if err != nil {
		r.Refused = err.Error()
		return nil //nolint:nilerr // the report says so
	}
	if bytes.Equal(after, s.before) {
		s.after = after
		return nil
	}
	was, err := symbols(s.before)
	if err != nil {
		return fmt.Errorf("specsync: %s: %w", s.code(), err)
	}
	is, err := symbols(after)
	if err != nil {
		r.Refused = "the generator wrote no Go: " + err.Error()
		return nil //nolint:nilerr // the report says so
	}
	if s.check == nil {
		if s.check, err = newChecker(ctx, s.root); err != nil {
			return err
		}
	}
	broken, others := s.check.compileErrors(s.file, after)
	if len(broken) > 0 {
		r.Refused = "what is generated from the merged description does not compile:\n" + strings.Join(broken, "\n")
		return nil
	}
	s.after = after
	r.addGo(s.name, goChanges(was, is))
	if len(others) == 0 {
		return nil
	}
	_, already := s.check.compileErrors(s.file, s.before)
	r.Wrappers = slices.DeleteFunc(others, func(line string) bool { return slices.Contains(already, line) })
	return nil
}

// write replaces our description and its generated code, both or neither. It writes nothing that the generator or the
// compiler refused.
func (s *session) write(r *report) error {
	if s.merged == s.ours || r.Refused != "" {
		return nil
	}
	if err := replaceFile(s.code(), s.after); err != nil {
		return err
	}
	if err := replaceFile(s.spec(), []byte(s.merged)); err != nil {
		return errors.Join(err, replaceFile(s.code(), s.before))
	}
	return nil
}

// replaceFile atomically replaces the content of a file.
func replaceFile(name string, data []byte) error {
	next := name + ".new"
	if err := os.WriteFile(next, data, 0o644); err != nil {
		return fmt.Errorf("specsync: %w", errors.Join(err, os.Remove(next)))
	}
	if err := os.Rename(next, name); err != nil {
		return fmt.Errorf("specsync: %w", errors.Join(err, os.Remove(next)))
	}
	return nil
}

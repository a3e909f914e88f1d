// Command specsync follows the vendors' published descriptions: it compares api/<vendor>.yaml with one, reports what
// changed and what that means for this module, and with -write merges the structure in and keeps our words.
//
//	specsync -vendor sailpoint -from https://example.com/openapi.yaml
//	specsync -vendor moov -from openapi.json -write
//	specsync                          # every vendor, from where specsync.yaml says
//
// It exits with 0 if nothing changed, 1 if what changed breaks nothing, 2 if something breaks, 3 if a description cannot
// be read.
package main

import (
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

	"github.com/grantwright/oauth-go/tests/upstream"
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

// options are the command line.
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
	flags.BoolVar(&o.write, "write", false, "merge the structure into api/<vendor>.yaml, then regenerate, build and test")
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
		if from == "" && o.vendor == "" { // nothing is published
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

// sync compares one vendor, and merges if it is asked to.
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
	r, err := s.compare(ctx, from)
	if err != nil || !o.write {
		return r, err
	}
	return r, s.write(ctx, r)
}

// session is the work on one vendor.
type session struct {
	root, name string
	config     *config
	theirs     *upstream.Document

	ours, merged string // the text of api/<vendor>.yaml, before and after
}

func (s *session) spec() string { return filepath.Join(s.root, "api", s.name+".yaml") }

func (s *session) options() upstream.Options {
	v := s.config.Vendors[s.name]
	return upstream.Options{
		Path:   func(path string) string { return apply(v.Paths, path) },
		Server: func(url string) string { return apply(v.Servers, url) },
	}
}

// read gets our description.
func (s *session) read() (*upstream.Document, error) {
	data, err := os.ReadFile(s.spec())
	if err != nil {
		return nil, fmt.Errorf("specsync: %w", err)
	}
	s.ours = string(data)
	ours, err := upstream.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("specsync: %s: %w", s.spec(), err)
	}
	return ours, nil
}

// merge merges the vendor's structure into ours, and returns what is left to a person.
func (s *session) merge() (decide []string, err error) {
	s.merged, decide, err = merge(s.ours, s.theirs, s.config, s.options())
	return decide, err
}

// compare reports what changed, and what merging it would do to the generated code and the packages around it.
func (s *session) compare(ctx context.Context, from string) (*report, error) {
	ours, err := s.read()
	if err != nil {
		return nil, err
	}
	result := upstream.Compare(ours, s.theirs, s.options())
	r := newReport(s.name, from, result, s.config)
	r.watch(result, s.config, s.config.Vendors[s.name])
	if len(result.Operations) == 0 {
		return nil, fmt.Errorf("specsync: %s has none of the operations of api/%s.yaml: is it the right description?", from, s.name)
	}
	if r.Decide, err = s.merge(); err != nil || s.merged == s.ours {
		return r, err
	}
	return r, s.compareGo(ctx, r)
}

func (s *session) compareGo(ctx context.Context, r *report) (err error) {
	dir, err := os.MkdirTemp("", "specsync")
	if err != nil {
		return fmt.Errorf("specsync: %w", err)
	}
	defer func() { err = cmp.Or(err, os.RemoveAll(dir)) }()
	file, _, err := generated(s.root, s.name)
	if err != nil {
		return err
	}
	before, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("specsync: %w", err)
	}
	after, err := generate(ctx, s.root, s.name, s.merged, dir)
	if err != nil {
		r.Decide = append(r.Decide, err.Error())
		return nil
	}
	was, err := symbols(before)
	if err != nil {
		return fmt.Errorf("specsync: %s: %w", file, err)
	}
	is, err := symbols(after)
	if err != nil {
		return fmt.Errorf("specsync: the generator wrote no Go: %w", err)
	}
	r.addGo(s.name, goChanges(was, is))
	if len(r.Go) > 0 {
		r.Wrappers, err = compileErrors(ctx, s.root, s.name, after, dir)
	}
	return err
}

// write merges and regenerates, then builds and tests. What fails is added to what is left to a person.
func (s *session) write(ctx context.Context, r *report) error {
	if s.merged == s.ours {
		return nil
	}
	if err := os.WriteFile(s.spec(), []byte(s.merged), 0o644); err != nil {
		return fmt.Errorf("specsync: %w", err)
	}
	for _, command := range [][]string{{"go", "generate", "./..."}, {"go", "build", "./..."}, {"go", "test", "./..."}} {
		if message, err := run(ctx, s.root, command...); err != nil {
			r.Decide = append(r.Decide, err.Error()+"\n"+failures(message))
			break
		}
	}
	return nil
}

// failures is the output of a go command without the packages that are well.
func failures(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "ok ") && !strings.HasPrefix(line, "? ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
)

// A Console prints the output of a program. On a terminal, progress is a line that changes; elsewhere it is a line from
// time to time.
type Console struct {
	out      io.Writer
	terminal bool
	changing bool // the last line is to be replaced
}

// NewConsole returns a Console that prints to out.
func NewConsole(out io.Writer) *Console {
	c := &Console{out: out}
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		c.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return c
}

// Printf prints a permanent line.
func (c *Console) Printf(format string, args ...any) {
	c.clear()
	fmt.Fprintf(c.out, format+"\n", args...)
}

// Write prints permanent text.
func (c *Console) Write(text []byte) (int, error) {
	c.clear()
	return c.out.Write(text)
}

// Progress shows that n things have been done; n is the argument of format.
func (c *Console) Progress(n int, format string) {
	const eachPlain = 1000
	switch {
	case c.terminal:
		c.clear()
		fmt.Fprintf(c.out, format, n)
		c.changing = true
	case n%eachPlain == 0:
		c.Printf(format, n)
	}
}

// Confirm asks a question and reports whether the answer is yes. The end of the input means no.
func (c *Console) Confirm(in io.Reader, format string, args ...any) bool {
	c.clear()
	fmt.Fprintf(c.out, format+" [y/N] ", args...)
	line, _ := bufio.NewReader(in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true
	}
	return false
}

func (c *Console) clear() {
	if c.changing {
		fmt.Fprint(c.out, "\r\x1b[K")
		c.changing = false
	}
}

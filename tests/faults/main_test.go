package faults

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Most tests wait for something, so that more of them run at a time than there are processors.
	_ = flag.Set("test.parallel", "32")
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	code = m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	return code
}

package faults

import (
	"flag"
	"os"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Most of these tests wait, so more can run in parallel than there are processors. The flag -parallel overrides this.
	_ = flag.Set("test.parallel", "64")
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // Toxiproxy logs to stderr
	code = m.Run()
	// Toxiproxy leaks goroutines if a toxic is removed while a connection ends.
	if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run")); err != nil && code == 0 {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	return code
}

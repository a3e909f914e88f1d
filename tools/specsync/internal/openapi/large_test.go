package openapi_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

const oneOperation = `openapi: 3.0.1
paths:
  /things:
    get: {responses: {'200': {description: D., content: {application/json: {schema: {type: array, items: {type: string}}}}}}}
`

// large returns a description with the given number of other operations before the one operation, each with its own
// schema.
func large(operations int) []byte {
	var paths, schemas strings.Builder
	for i := range operations {
		fmt.Fprintf(&paths, "  /others/%d:\n    get:\n      parameters: [{name: id, in: query, schema: {type: string}}]\n"+
			"      responses: {'200': {description: D., content: {application/json: {schema: {$ref: '#/components/schemas/Other%d'}}}}}\n", i, i)
		fmt.Fprintf(&schemas, "    Other%d: {type: object, properties: {id: {type: string}, next: {$ref: '#/components/schemas/Other%d'}}}\n", i, (i+1)%operations)
	}
	text := strings.Replace(oneOperation, "paths:\n", "paths:\n"+paths.String(), 1)
	return []byte(text + "components:\n  schemas:\n" + schemas.String())
}

// compareLarge reads a large description and compares the one operation with it.
func compareLarge(tb testing.TB, description []byte) {
	tb.Helper()
	ours, err := openapi.Parse([]byte(oneOperation))
	require.NoError(tb, err)
	theirs, err := openapi.Parse(description)
	require.NoError(tb, err)
	for _, op := range openapi.Match(ours, theirs, nil) {
		require.NoError(tb, op[1].Check())
	}
	result := openapi.Compare(ours, theirs, openapi.Options{})
	require.Len(tb, result.Operations, 1)
	require.Empty(tb, result.Differences)
}

// TestWorkGrowsWithTheDescription measures work as allocated bytes: a description of four times the size needs about
// four times as many.
func TestWorkGrowsWithTheDescription(t *testing.T) { //nolint:paralleltest // allocations of other tests would count
	allocated := func(description []byte) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		compareLarge(t, description)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	small, big := large(500), large(2000)
	assert.Less(t, allocated(big), 5*allocated(small))
}

// BenchmarkCompare uses descriptions of up to 8,000 paths. The time per path hardly depends on their number.
func BenchmarkCompare(b *testing.B) {
	for _, paths := range []int{500, 2000, 8000} {
		b.Run(fmt.Sprintf("paths=%d", paths), func(b *testing.B) {
			description := large(paths)
			b.ReportAllocs()
			for b.Loop() {
				compareLarge(b, description)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(paths), "us/path")
		})
	}
}

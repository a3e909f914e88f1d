package main

import (
	"fmt"
	"slices"
	"time"
)

// A figure is one row of the table: one quantity, of us and of those peers that can do the same.
type figure struct {
	name   string
	unit   unit
	values values
	target target
}

// values are those of each contender; who cannot do it is absent.
type values map[string]series

func (v values) add(contender string, value float64) {
	v[contender] = append(v[contender], value)
}

// series are the values of one contender, one for each round.
type series []float64

func (s series) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[len(sorted)/2]
}

// A target bounds our value, or its ratio to that of a contender.
type target struct {
	most float64
	of   string // "": our value itself
}

// unset is the target of a figure that is there for comparison only.
var unset = target{most: -1}

// ratio is the median of the ratios within each round.
func (f figure) ratio() float64 {
	mine, theirs := f.values[ours], f.values[f.target.of]
	ratios := make(series, len(mine))
	for i := range mine {
		ratios[i] = mine[i] / theirs[i]
	}
	return ratios.median()
}

func (f figure) met() bool {
	if f.target.of != "" {
		return f.ratio() <= f.target.most
	}
	return f.values[ours].median() <= f.target.most
}

// unit is how a value prints.
type unit int

const (
	count unit = iota
	duration
	size
)

func (u unit) format(v float64) string {
	switch u {
	case duration:
		return formatDuration(time.Duration(v), v)
	case size:
		return fmt.Sprintf("%.1f MB", v/1e6)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

// formatDuration gives three digits; v is d with its fraction of a nanosecond.
func formatDuration(d time.Duration, v float64) string {
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%.3g ns", v)
	case d < time.Millisecond:
		return fmt.Sprintf("%.3g µs", v/1e3)
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", v/1e6)
	}
	return fmt.Sprintf("%.3g s", v/1e9)
}

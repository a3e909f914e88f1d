package main

import (
	"fmt"
	"slices"
	"time"
)

// A figure is a row of the table: one quantity for us and for those peers that support it.
type figure struct {
	name   string
	unit   unit
	values values
	target target
}

// values are the values of the contenders. One that does not support the operation is absent.
type values map[string]series

func (v values) add(contender string, value float64) {
	v[contender] = append(v[contender], value)
}

// series are the values of one contender, one per round.
type series []float64

func (s series) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[len(sorted)/2]
}

// A target limits our value, or its ratio to that of a contender.
type target struct {
	most float64
	of   string // if empty, the target is for our value itself
}

// unset is the target of a figure that is only for comparison.
var unset = target{most: -1}

// ratio returns the median of the ratios in each round.
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

// unit says how to print a value.
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

// formatDuration prints three digits. d includes a fraction of a nanosecond.
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

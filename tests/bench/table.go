package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// measurement is the result of a group.
type measurement struct {
	group   string
	figures []figure
}

// report writes a table for each group, and then the targets that were missed.
func report(w io.Writer, measured []measurement) {
	targets := 0
	var missed []string
	for _, m := range measured {
		fmt.Fprintf(w, "\n%s\n", m)
		for _, f := range m.figures {
			if f.target == unset {
				continue
			}
			targets++
			if !f.met() {
				missed = append(missed, m.group+": "+f.name)
			}
		}
	}
	fmt.Fprintf(w, "\n%d of %d targets met\n", targets-len(missed), targets)
	for _, name := range missed {
		fmt.Fprintln(w, "not met:", name)
	}
}

// String returns the table of the group.
func (m measurement) String() string {
	var present []string
	for _, c := range contenders {
		if slices.ContainsFunc(m.figures, func(f figure) bool { return f.values[c] != nil }) {
			present = append(present, c)
		}
	}
	var table strings.Builder
	t := tabwriter.NewWriter(&table, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "%s\t%s\tratio\ttarget\tmet\n", m.group, strings.Join(present, "\t"))
	for _, f := range m.figures {
		cells := []string{f.name}
		for _, c := range present {
			cell := "-"
			if values := f.values[c]; values != nil {
				cell = f.unit.format(values.median())
			}
			cells = append(cells, cell)
		}
		fmt.Fprintln(t, strings.Join(append(cells, verdict(f)...), "\t"))
	}
	_ = t.Flush()
	lines := strings.Split(table.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// verdict returns the ratio, the target, and whether it is met.
func verdict(f figure) []string {
	if f.target == unset {
		return []string{"", "", ""}
	}
	met := "yes"
	if !f.met() {
		met = "NO"
	}
	if f.target.of == "" {
		return []string{"", "≤ " + f.unit.format(f.target.most), met}
	}
	return []string{fmt.Sprintf("%.2f × %s", f.ratio(), f.target.of), fmt.Sprintf("≤ %.2f ×", f.target.most), met}
}

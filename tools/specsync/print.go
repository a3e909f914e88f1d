package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// formats are the formats of a report.
var formats = map[string]func(io.Writer, *report) error{
	"text": printText, "json": printJSON, "markdown": printMarkdown,
}

func printJSON(w io.Writer, r *report) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// summary counts the changes by class.
func (r *report) summary() string {
	var counts []string
	for _, c := range classes {
		if n := len(r.of(c)); n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, c))
		}
	}
	switch n := len(r.Unused); n {
	case 0:
	case 1:
		counts = append(counts, "1 deviation that nothing needs any more")
	default:
		counts = append(counts, fmt.Sprintf("%d deviations that nothing needs any more", n))
	}
	if len(counts) == 0 {
		return "nothing changed"
	}
	return strings.Join(counts, ", ")
}

// value shortens a value for people; the JSON report has all of it.
func value(s string) string {
	const most = 160
	switch {
	case s == "":
		return "nothing"
	case len(s) > most:
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

func printText(w io.Writer, r *report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n  from %s\n", r.Vendor, r.summary(), r.From)
	for _, class := range classes {
		for _, c := range r.of(class) {
			fmt.Fprintf(&b, "\n%s: %s", class, c.What)
			if c.Note != "" {
				fmt.Fprintf(&b, " (%s)", c.Note)
			}
			fmt.Fprintf(&b, "\n  %s\n", strings.Join(c.Operations, ", "))
			line(&b, "at", c.Place)
			line(&b, "ours", c.Pointer)
			line(&b, "upstream", c.Upstream)
			if c.Was != "" || c.Is != "" {
				fmt.Fprintf(&b, "  was %s, is %s\n", value(c.Was), value(c.Is))
			}
			line(&b, "Go", strings.Join(c.Go, ", "))
		}
	}
	section(&b, "Cannot be written", nonEmpty(r.Refused))
	section(&b, "How it was read", r.Notes)
	section(&b, "Packages that no longer compile", r.Wrappers)
	section(&b, "Left to a person", r.Decide)
	section(&b, "Our deviations", deviationLines(r.Deviations))
	section(&b, "Deviations that nothing needs any more", deviationLines(r.Unused))
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}

func line(b *strings.Builder, label, text string) {
	if text != "" {
		fmt.Fprintf(b, "  %s %s\n", label, text)
	}
}

func section(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	for _, l := range lines {
		fmt.Fprintf(b, "  %s\n", strings.ReplaceAll(strings.TrimSpace(l), "\n", "\n    "))
	}
}

func nonEmpty(line string) []string {
	if line == "" {
		return nil
	}
	return []string{line}
}

func deviationLines(all []deviation) []string {
	var lines []string
	for _, d := range all {
		l := fmt.Sprintf("%s at %s", d.Keyword, d.Pointers[0])
		if n := len(d.Pointers) - 1; n > 0 {
			l += fmt.Sprintf(" and %d more", n)
		}
		lines = append(lines, l+": "+d.Reason)
	}
	return lines
}

// printMarkdown prints the report for the body of a pull request.
func printMarkdown(w io.Writer, r *report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s: %s\n\nFrom %s\n", r.Vendor, r.summary(), r.From)
	for _, class := range classes {
		changes := r.of(class)
		if len(changes) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n| what | where | was | is | Go |\n|---|---|---|---|---|\n", strings.ToUpper(string(class[:1]))+string(class[1:]))
		for _, c := range changes {
			what := c.What
			if c.Note != "" {
				what += " (" + c.Note + ")"
			}
			where := strings.Join(c.Operations, "<br>")
			if c.Pointer != "" {
				where += "<br>`" + cell(c.Pointer) + "`"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", cell(what), where, code(c.Was), code(c.Is), cell(strings.Join(c.Go, ", ")))
		}
	}
	list(&b, "Cannot be written", nonEmpty(r.Refused))
	list(&b, "How it was read", r.Notes)
	list(&b, "Packages that no longer compile", r.Wrappers)
	list(&b, "Left to a person", r.Decide)
	list(&b, "Deviations that nothing needs any more", deviationLines(r.Unused))
	if len(r.Deviations) > 0 {
		fmt.Fprintf(&b, "\n<details><summary>Our deviations</summary>\n")
		list(&b, "", deviationLines(r.Deviations))
		b.WriteString("\n</details>\n")
	}
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}

func list(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	if title != "" {
		fmt.Fprintf(b, "\n### %s\n", title)
	}
	b.WriteString("\n")
	for _, l := range lines {
		fmt.Fprintf(b, "- %s\n", strings.ReplaceAll(strings.TrimSpace(l), "\n", "\n  "))
	}
}

// cell escapes text for a table cell, so that a vendor's text does not end the cell or become markup.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", ">", "&gt;", "\n", " ", "`", "'").Replace(s)
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.NewReplacer("|", "\\|", "`", "'", "\n", " ").Replace(value(s)) + "`"
}

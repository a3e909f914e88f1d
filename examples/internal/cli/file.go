package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// ReadFile returns the content of a JSON or YAML file as JSON. A file is YAML unless its name ends in .json.
func ReadFile(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if err != nil || filepath.Ext(name) == ".json" {
		return data, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	keepTimes(&doc)
	var value any
	if err := doc.Decode(&value); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: there must be one YAML document", name)
	}
	data, err = json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// keepTimes turns timestamps into strings, so that they keep their spelling.
func keepTimes(n *yaml.Node) {
	if n.ShortTag() == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, child := range n.Content {
		keepTimes(child)
	}
}

// A Report is a table for a file.
type Report struct {
	name   string // "" if there is no report
	header []string
	rows   [][]string
}

// NewReport returns a report for the named file, whose extension selects CSV or JSON. If the name is empty, Write does
// nothing.
func NewReport(name string, header ...string) (*Report, error) {
	if ext := filepath.Ext(name); name != "" && ext != ".csv" && ext != ".json" {
		return nil, fmt.Errorf("the name of the report must end in .csv or .json, not in %q", ext)
	}
	return &Report{name: name, header: header}, nil
}

// Add adds a row with a value for each column of the header.
func (r *Report) Add(row ...string) { r.rows = append(r.rows, row) }

// Write writes the report.
func (r *Report) Write() error {
	if r.name == "" {
		return nil
	}
	var b bytes.Buffer
	if filepath.Ext(r.name) == ".csv" {
		if err := csv.NewWriter(&b).WriteAll(append([][]string{r.header}, r.rows...)); err != nil {
			return err
		}
		return os.WriteFile(r.name, b.Bytes(), 0o600)
	}
	objects := make([]map[string]string, len(r.rows))
	for i, row := range r.rows {
		objects[i] = map[string]string{}
		for k, column := range r.header {
			objects[i][column] = row[k]
		}
	}
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(objects); err != nil {
		return err
	}
	return os.WriteFile(r.name, b.Bytes(), 0o600)
}

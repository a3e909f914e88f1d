package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// config is the content of specsync.yaml, where each member is explained.
type config struct {
	Vendors  map[string]vendor `yaml:"vendors"`
	Meanings []meaning         `yaml:"meanings"`
	Types    []typeRule        `yaml:"types"`
	Leave    []leaveRule       `yaml:"leave"`
}

type vendor struct {
	From    string     `yaml:"from"`
	Note    string     `yaml:"note"`
	Paths   []rewrite  `yaml:"paths"`
	Servers []rewrite  `yaml:"servers"`
	Scopes  string     `yaml:"scopes"`
	Lists   []listRule `yaml:"lists"`
}

type rewrite struct {
	Match pattern `yaml:"match"`
	As    string  `yaml:"as"`
}

// apply rewrites s by the first rule that matches.
func apply(rules []rewrite, s string) string {
	for _, r := range rules {
		if r.Match.MatchString(s) {
			return r.Match.ReplaceAllString(s, r.As)
		}
	}
	return s
}

type meaning struct {
	Property string `yaml:"property"`
	Means    []struct {
		Name string  `yaml:"name"`
		Says pattern `yaml:"says"`
	} `yaml:"means"`
}

// of returns the first meaning that a text has, or "".
func (m meaning) of(text string) string {
	for _, means := range m.Means {
		if means.Says.MatchString(text) {
			return means.Name
		}
	}
	return ""
}

type listRule struct {
	Operation string  `yaml:"operation"`
	Item      pattern `yaml:"item"`
	Ours      string  `yaml:"ours"`
}

type typeRule struct {
	Name   *pattern `yaml:"name"`
	Type   string   `yaml:"type"`
	Format string   `yaml:"format"`
	Go     string   `yaml:"go"`
	Reason string   `yaml:"reason"`
}

type leaveRule struct {
	Of      openapi.Kind `yaml:"of"`
	Keyword string       `yaml:"keyword"`
	Place   *pattern     `yaml:"place"`
	Reason  string       `yaml:"reason"`
}

// leaves returns the rule by which a keyword of a node is not merged, or nil.
func (c *config) leaves(kind openapi.Kind, keyword, place string) *leaveRule {
	for i, rule := range c.Leave {
		if rule.Of == kind && rule.Keyword == keyword && (rule.Place == nil || rule.Place.MatchString(place+"/")) {
			return &c.Leave[i]
		}
	}
	return nil
}

// pattern is a regular expression in the configuration.
type pattern struct{ *regexp.Regexp }

func (p *pattern) UnmarshalYAML(n *yaml.Node) (err error) {
	p.Regexp, err = regexp.Compile(n.Value)
	return err
}

func readConfig(root string) (*config, error) {
	file := filepath.Join(root, "tools", "specsync", "specsync.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("specsync: %w", err)
	}
	var c config
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		return nil, fmt.Errorf("specsync: %s: %w", file, err)
	}
	return &c, nil
}

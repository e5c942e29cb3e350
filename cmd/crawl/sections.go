package main

import (
	"errors"
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v3"

	"github.com/orbweaver/orbweaver/crawler"
)

// sections are the settings of the configuration file that are trees, and so
// cannot be flags. A job keeps them as it keeps the flags: a resumed run does
// again what they said, unless its own file has the section, be it empty
// ("rules: []"), which replaces the kept one whole.
//
// To add a section, add a field here whose tag names its key, of a type that
// decodeTree fills from what stands below that key; and use it where
// runCommand.Run makes the crawler's Config of the settings. What is wrong in the
// section's values is best found by their UnmarshalText, and what is wrong in
// how they go together by a method Validate() error of the struct they are in:
// then the error names the line.
type sections struct {
	Rules   []crawler.Rule `yaml:"rules"`
	Sites   []siteSetting  `yaml:"sites"`
	Extract []extraction   `yaml:"extract"`
}

// apply makes the crawler's Config of the sections. It fails if there is no such
// secret as one refers to.
func (s *sections) apply(cfg *crawler.Config, env []string) error {
	cfg.Rules = s.Rules
	for i := range s.Sites {
		site, err := s.Sites[i].site(references(env))
		if err == nil {
			err = site.Validate() // with what the references stand for
		}
		if err != nil {
			return &failure{exitUsage, fmt.Errorf("sites: %s: %w", s.Sites[i].Host[0], err), ""}
		}
		cfg.Sites = append(cfg.Sites, site)
	}
	return nil
}

// sectionNames are the keys of sections, in the order of its fields.
func sectionNames(v any) (names []string) {
	t := reflect.TypeOf(v).Elem()
	for i := range t.NumField() {
		names = append(names, t.Field(i).Tag.Get("yaml"))
	}
	return names
}

// readSections fills the fields of v, a pointer to a struct such as sections,
// from the first place that has each, and returns the text of those that were
// found, to be kept.
func readSections(places layers, v any) (kept keptSettings, err error) {
	kept = keptSettings{}
	for i, name := range sectionNames(v) {
		g, ok := places.find(name)
		if !ok {
			continue
		}
		tree, err := g.tree()
		if err != nil {
			return nil, err
		}
		if err := decodeTree(tree, reflect.ValueOf(v).Elem().Field(i).Addr().Interface()); err != nil {
			return nil, g.wrong(name, err)
		}
		text, err := yaml.Marshal(tree)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		kept[name] = []string{string(text)}
	}
	return kept, nil
}

// tree is the section that g gives.
func (g given) tree() (*yaml.Node, error) {
	if g.section != nil {
		return g.section, nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(g.values[0]), &doc); err != nil || len(doc.Content) != 1 {
		return nil, fmt.Errorf("a section %s cannot be read: %w", g.origin, err)
	}
	return doc.Content[0], nil
}

// wrong tells where in a section something is wrong.
func (g given) wrong(name string, err error) error {
	var e *treeError
	switch {
	case !errors.As(err, &e):
		return fmt.Errorf("%s: %s: %w", g.origin, name, err)
	case g.section != nil:
		return fmt.Errorf("%s:%d: %s: %w", g.file, e.line, name, e.err)
	}
	return fmt.Errorf("%s %s: %w", name, g.origin, err)
}

package extract

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ldSelector finds the scripts that hold JSON-LD.
const ldSelector = `script[type="application/ld+json" i]`

// maxLDDepth is how deep JSON-LD may be nested; what lies deeper is not looked at.
const maxLDDepth = 64

// linkedData returns at most n objects of JSON-LD, all when n is negative, that have the type: those at the top, in a
// graph, or within another object, each before those within it. Of text that is no JSON it returns those before the
// mistake.
func linkedData(text, typ string, n int) []string {
	s := ldSearch{text: text, typ: typ, dec: json.NewDecoder(strings.NewReader(text))}
	s.dec.UseNumber()
	_, _ = s.value(0) // what was found until a mistake counts
	found := slices.DeleteFunc(s.found, func(t string) bool { return t == "" })
	if n >= 0 {
		found = found[:min(n, len(found))]
	}
	return found
}

// ldSearch goes through a text of JSON-LD once.
type ldSearch struct {
	text  string
	typ   string
	dec   *json.Decoder
	found []string // of objects, in the order in which they begin; "": of another type
}

var errTooDeep = errors.New("too deep")

// value reads a value and returns it if it is a string, or the strings of a list of them: what @type may be.
func (s *ldSearch) value(depth int) (types []string, err error) {
	if depth > maxLDDepth {
		return nil, errTooDeep
	}
	token, err := s.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case string:
		return []string{t}, nil
	case json.Delim:
		if t == '{' {
			return nil, s.object(depth)
		}
		for s.dec.More() {
			inner, err := s.value(depth + 1)
			if err != nil {
				return nil, err
			}
			types = append(types, inner...)
		}
		_, err = s.dec.Token()
	}
	return types, err
}

// object reads an object whose brace was read.
func (s *ldSearch) object(depth int) error {
	start, place := s.dec.InputOffset()-1, len(s.found)
	s.found = append(s.found, "")
	matches := false
	for s.dec.More() {
		key, err := s.dec.Token()
		if err != nil {
			return err
		}
		types, err := s.value(depth + 1)
		if err != nil {
			return err
		}
		if key == "@type" {
			matches = slices.ContainsFunc(types, func(t string) bool { return isType(t, s.typ) })
		}
	}
	if _, err := s.dec.Token(); err != nil {
		return err
	}
	if matches {
		s.found[place] = s.text[start:s.dec.InputOffset()]
	}
	return nil
}

// isType reports whether a type, "Product" or "https://schema.org/Product", is the one asked for, by its name or in full.
func isType(t, want string) bool {
	return t == want || t[strings.LastIndexAny(t, "/#:")+1:] == want
}

// itemSelector finds the elements that are microdata items of a type, given by its name or in full.
func itemSelector(typ string) string {
	forms := make([]string, 0, 6)
	for _, form := range []string{`[itemtype~=%q]`, `[itemtype$=%q]`, `[itemtype*=%q]`} {
		switch {
		case strings.Contains(form, "~"):
			forms = append(forms, "[itemscope]"+fmt.Sprintf(form, typ))
		case strings.ContainsAny(typ, "/#"):
		case strings.Contains(form, "$"):
			forms = append(forms, "[itemscope]"+fmt.Sprintf(form, "/"+typ), "[itemscope]"+fmt.Sprintf(form, "#"+typ))
		default: // the first of several types
			forms = append(forms, "[itemscope]"+fmt.Sprintf(form, "/"+typ+" "), "[itemscope]"+fmt.Sprintf(form, "#"+typ+" "))
		}
	}
	return strings.Join(forms, ", ")
}

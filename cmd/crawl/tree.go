package main

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	maxTreeNodes = 1 << 20 // of a section, with all that its aliases stand for
	maxTreeDepth = 64
)

// treeError tells on which line of a section something is wrong.
type treeError struct {
	line int
	err  error
}

func (e *treeError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *treeError) Unwrap() error { return e.err }

// ownWords is err without the names of packages, which mean nothing in a file.
func ownWords(err error) error {
	text := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "crawler: "), "crawler: FormLogin: ", "")
	return errors.New(strings.ReplaceAll(text, ": weburl: ", ": "))
}

func wrong(node *yaml.Node, format string, args ...any) error {
	return &treeError{node.Line, fmt.Errorf(format, args...)}
}

// unfold returns a copy of a tree in which every alias is replaced by what it
// stands for, so that the tree means the same outside of its document.
func unfold(node *yaml.Node) (*yaml.Node, error) {
	left := maxTreeNodes
	return unfoldWithin(node, &left, maxTreeDepth)
}

func unfoldWithin(node *yaml.Node, left *int, depth int) (*yaml.Node, error) {
	if *left--; *left < 0 {
		return nil, wrong(node, "has more than %d values", maxTreeNodes)
	}
	if depth == 0 {
		return nil, wrong(node, "is nested more than %d deep", maxTreeDepth)
	}
	if node.Kind == yaml.AliasNode {
		return unfoldWithin(node.Alias, left, depth-1)
	}
	plain := &yaml.Node{Kind: node.Kind, Style: node.Style, Tag: node.Tag, Value: node.Value, Line: node.Line}
	if isNull(node) {
		plain.Style, plain.Value = 0, "null" // written as nothing it would be read as an empty text, or not at all
	}
	for _, child := range node.Content {
		c, err := unfoldWithin(child, left, depth-1)
		if err != nil {
			return nil, err
		}
		plain.Content = append(plain.Content, c)
	}
	return plain, nil
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

// validator is a part of a section that can be wrong as a whole.
type validator interface{ Validate() error }

// decodeTree fills the value that v, not nil, points to from an unfolded tree.
// It is strict: a key that v has no field for, a key that is given twice and a
// value that does not fit are errors, of type *treeError. It knows
//
//   - structs, whose fields are named by their tag `yaml:"name"` or, if they are
//     of a type of the library's, `json:"name"`, as mappings;
//   - maps with string keys, as mappings; slices, as sequences, or as their only
//     element alone; pointers, as what they point to;
//   - types with UnmarshalText, strings, booleans and numbers, as scalars.
//
// A key without a value leaves its field alone. A struct that has a method
// Validate() error is asked when it is filled.
func decodeTree(node *yaml.Node, v any) error {
	return decodeValue(node, reflect.ValueOf(v).Elem())
}

func decodeValue(node *yaml.Node, v reflect.Value) error {
	if isNull(node) {
		return nil
	}
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if node.Kind != yaml.ScalarNode {
			return wrong(node, "takes one value")
		}
		if err := t.UnmarshalText([]byte(node.Value)); err != nil {
			return &treeError{node.Line, ownWords(err)}
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decodeValue(node, v.Elem())
	case reflect.Struct:
		return decodeStruct(node, v)
	case reflect.Map:
		return decodeMap(node, v)
	case reflect.Slice:
		return decodeSlice(node, v)
	default:
		return decodeScalar(node, v)
	}
}

func decodeStruct(node *yaml.Node, v reflect.Value) error {
	fields := map[string]int{}
	var names []string
	for i := range v.NumField() {
		if name := fieldName(v.Type().Field(i)); name != "" {
			fields[name] = i
			names = append(names, name)
		}
	}
	err := pairs(node, func(key, value *yaml.Node) error {
		i, ok := fields[key.Value]
		if !ok {
			return wrong(key, "%s", unknownName(key.Value, names))
		}
		return within(key.Value, decodeValue(value, v.Field(i)))
	})
	if err != nil {
		return err
	}
	if c, ok := v.Addr().Interface().(validator); ok {
		if err := c.Validate(); err != nil {
			return &treeError{node.Line, ownWords(err)}
		}
	}
	return nil
}

func fieldName(f reflect.StructField) string {
	tag, ok := f.Tag.Lookup("yaml")
	if !ok {
		tag = f.Tag.Get("json")
	}
	name, _, _ := strings.Cut(tag, ",")
	return name
}

func unknownName(name string, names []string) string {
	if near := nearest(strings.ReplaceAll(name, "_", "-"), names); near != "" {
		return fmt.Sprintf("%q is not known here; did you mean %s?", name, near)
	}
	return fmt.Sprintf("%q is not known here; known are %s", name, strings.Join(names, ", "))
}

func decodeMap(node *yaml.Node, v reflect.Value) error {
	v.Set(reflect.MakeMap(v.Type()))
	return pairs(node, func(key, value *yaml.Node) error {
		element := reflect.New(v.Type().Elem()).Elem()
		if err := within(key.Value, decodeValue(value, element)); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), element)
		return nil
	})
}

// pairs calls each with the keys of a mapping, which are scalars and differ, and
// their values.
func pairs(node *yaml.Node, each func(key, value *yaml.Node) error) error {
	if node.Kind != yaml.MappingNode {
		return wrong(node, "takes 'name: value' pairs")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			return wrong(key, "takes 'name: value' pairs")
		case seen[key.Value]:
			return wrong(key, "%s is set twice", key.Value)
		}
		seen[key.Value] = true
		if err := each(key, value); err != nil {
			return err
		}
	}
	return nil
}

// within names the key under which something is wrong.
func within(key string, err error) error {
	if e := (*treeError)(nil); errors.As(err, &e) {
		return &treeError{e.line, fmt.Errorf("%s: %w", key, e.err)}
	}
	return err
}

func decodeSlice(node *yaml.Node, v reflect.Value) error {
	elements := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		elements = node.Content
	}
	v.Set(reflect.MakeSlice(v.Type(), len(elements), len(elements)))
	for i, e := range elements {
		if isNull(e) {
			return wrong(e, "an element of the list is empty")
		}
		if err := decodeValue(e, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func decodeScalar(node *yaml.Node, v reflect.Value) error {
	if node.Kind != yaml.ScalarNode {
		return wrong(node, "takes one value")
	}
	text := node.Value
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		var b bool
		if err := node.Decode(&b); err != nil {
			return wrong(node, "%q is neither true nor false", text)
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, v.Type().Bits())
		if err != nil {
			return wrong(node, "%q is no whole number of a size that fits", text)
		}
		v.SetInt(n)
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return wrong(node, "%q is no number", text)
		}
		v.SetFloat(f)
	default:
		return wrong(node, "cannot be set to a %s", v.Type()) // a field of a kind that this function lacks
	}
	return nil
}

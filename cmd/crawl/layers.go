package main

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// A layer is one place where flags can be set besides the command line.
type layer map[string]given

// given is what a place says of a flag: its values, as they would be written on
// the command line, and where that was.
type given struct {
	values []string
	origin string // "crawl.yaml:3", "environment CRAWL_DELAY", "the job"

	// Of a section in a configuration file:
	section *yaml.Node // unfolded; nil: a flag, or values[0] is the section's text
	file    string
}

// layers are places in which a flag is looked for, the first that has it wins.
// They answer kong's questions for flags that are not on the command line.
type layers []layer

func (ls layers) find(flag string) (given, bool) {
	for _, l := range ls {
		if g, ok := l[flag]; ok {
			return g, true
		}
	}
	return given{}, false
}

// first returns the value of a flag that is a single text, or fallback.
func (ls layers) first(flag, fallback string) string {
	if g, ok := ls.find(flag); ok && len(g.values) > 0 {
		return g.values[0]
	}
	return fallback
}

// Validate implements kong.Resolver.
func (ls layers) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver. It reads the value as kong is going to, only
// to tell where a wrong one comes from.
func (ls layers) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	g, ok := ls.find(flag.Name)
	if !ok {
		return nil, nil
	}
	value, err := g.token(flag)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, g.origin)
	}
	if err := g.checkList(flag); err != nil {
		return nil, fmt.Errorf("%w (%s)", err, g.origin)
	}
	scan := kong.Scan().PushTyped(value, kong.FlagValueToken)
	scratch := reflect.New(flag.Target.Type()).Elem()
	if err := flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: scan}, scratch); err != nil {
		return nil, fmt.Errorf("%w (%s)", err, g.origin)
	}
	return value, nil
}

// checkList reads each value of a flag that may be repeated: of a list kong tells
// which types it has for it, too.
func (g given) checkList(flag *kong.Flag) error {
	if !flag.IsSlice() {
		return nil
	}
	for _, text := range g.values {
		value, ok := reflect.New(flag.Target.Type().Elem()).Interface().(encoding.TextUnmarshaler)
		if !ok {
			continue
		}
		if err := value.UnmarshalText([]byte(text)); err != nil {
			return err
		}
	}
	return nil
}

// token is what kong's scanner takes for g's values.
func (g given) token(flag *kong.Flag) (any, error) {
	if flag.IsSlice() {
		list := make([]any, len(g.values))
		for i, v := range g.values {
			list[i] = v
		}
		return list, nil
	}
	if len(g.values) != 1 {
		return nil, fmt.Errorf("takes one value, not %d", len(g.values))
	}
	return g.values[0], nil
}

// envPrefix begins the name of each variable that sets a flag.
const envPrefix = "CRAWL_"

// variable is the environment variable of a flag.
func variable(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// environment is the layer of the CRAWL_ variables in env, which has the form
// of os.Environ. Repeatable flags take a line for each value. An empty variable
// counts as unset.
func environment(env []string, flags []*kong.Flag) layer {
	l := layer{}
	for _, flag := range flags {
		name := variable(flag.Name)
		text := lookup(env, name)
		if text == "" {
			continue
		}
		values := []string{text}
		if flag.IsSlice() {
			values = strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
		}
		l[flag.Name] = given{values: values, origin: "environment " + name}
	}
	return l
}

// strayVariables tells of variables that are nearly the name of one that sets a
// flag. Others that begin like them may belong to anyone.
func strayVariables(env []string, flags []*kong.Flag) (lines []string) {
	names := make([]string, len(flags))
	for i, flag := range flags {
		names[i] = strings.TrimPrefix(variable(flag.Name), envPrefix)
	}
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		name, ours := strings.CutPrefix(name, envPrefix)
		if !ours || slices.Contains(names, name) {
			continue
		}
		if near := nearest(name, names); near != "" {
			lines = append(lines, fmt.Sprintf("the variable %s%s sets nothing; did you mean %[1]s%[3]s?", envPrefix, name, near))
		}
	}
	return lines
}

// lookup returns the last value of a variable in env, or "".
func lookup(env []string, name string) string {
	for _, e := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}

// maxConfigSize bounds a configuration file, which is read whole.
const maxConfigSize = 1 << 20

// configFile reads the layer of a YAML file whose keys are names of flags and of
// sections.
func configFile(path string, flags []*kong.Flag, sections []string) (layer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfigSize+1))
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	if len(text) > maxConfigSize {
		return nil, fmt.Errorf("--config: %s is larger than %d bytes", path, maxConfigSize)
	}
	return parseConfig(text, path, flags, sections)
}

// parseConfig reads the text of a configuration file.
func parseConfig(text []byte, path string, flags []*kong.Flag, sections []string) (layer, error) {
	var doc, more yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(text))
	if err := in.Decode(&doc); err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if in.Decode(&more) == nil && len(more.Content) > 0 {
		return nil, fmt.Errorf("%s:%d: write all settings into one document, without ---", path, more.Line)
	}
	l := layer{}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return l, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: write one setting a line, such as 'max-pages: 100'", path, root.Line)
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, node := root.Content[i], root.Content[i+1]
		at := path + ":" + strconv.Itoa(key.Line)
		if err := knownKey(key.Value, flags, sections); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		if _, twice := l[key.Value]; twice {
			return nil, fmt.Errorf("%s: %s is set twice", at, key.Value)
		}
		g := given{origin: at, file: path}
		var err error
		if slices.Contains(sections, key.Value) {
			if g.section, err = unfold(node); err != nil {
				return nil, given{section: node, file: path}.wrong(key.Value, err)
			}
		} else if g.values, err = scalars(node); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", at, key.Value, err)
		}
		l[key.Value] = g
	}
	return l, nil
}

// knownKey refuses a key that is neither flag nor section and names the nearest
// that is.
func knownKey(key string, flags []*kong.Flag, sections []string) error {
	if slices.Contains(sections, key) {
		return nil
	}
	names := slices.Clone(sections)
	for _, flag := range flags {
		if flag.Name == key {
			return nil
		}
		names = append(names, flag.Name)
	}
	if near := nearest(strings.ReplaceAll(key, "_", "-"), names); near != "" {
		return fmt.Errorf("%q is no setting; did you mean %s?", key, near)
	}
	return fmt.Errorf("%q is no setting; crawl run --help lists them", key)
}

// scalars returns the value of a setting: one for a scalar, those of a list, and
// for a mapping "key: value" each, which suits header fields.
func scalars(node *yaml.Node) ([]string, error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch node.Kind {
	case yaml.ScalarNode:
		return []string{node.Value}, nil
	case yaml.SequenceNode:
		return each(node.Content, 1, func(n []*yaml.Node) string { return n[0].Value })
	case yaml.MappingNode:
		return each(node.Content, 2, func(n []*yaml.Node) string { return n[0].Value + ": " + n[1].Value })
	}
	return nil, errNested
}

var errNested = errors.New("takes a value or a list of values")

// each turns every n nodes, which must be scalars, into a text.
func each(nodes []*yaml.Node, n int, text func([]*yaml.Node) string) ([]string, error) {
	values := []string{}
	for group := range slices.Chunk(nodes, n) {
		for _, node := range group {
			if node.Kind != yaml.ScalarNode {
				return nil, errNested
			}
		}
		values = append(values, text(group))
	}
	return values, nil
}

// keptSettings is what a job remembers of the flags it was started with: by
// flag, the values as texts.
type keptSettings map[string][]string

// keep returns the effective values of flags, but for those that belong to one
// run only. The fields of the flags must have been set.
func keep(flags []*kong.Flag) keptSettings {
	kept := keptSettings{}
	for _, flag := range flags {
		if !flag.Tag.Has("once") && flag.Name != "help" {
			kept[flag.Name] = texts(flag.Target)
		}
	}
	return kept
}

// text is what is kept of it in the job.
func (kept keptSettings) text() []byte {
	text, err := json.Marshal(kept)
	if err != nil {
		panic(err) // a map of texts: it cannot fail
	}
	return text
}

func texts(v reflect.Value) []string {
	if v.Kind() != reflect.Slice {
		return []string{fmt.Sprint(v.Interface())}
	}
	list := []string{}
	for i := range v.Len() {
		list = append(list, fmt.Sprint(v.Index(i).Interface()))
	}
	return list
}

// layer reads what an earlier run kept. Flags that this version does not know
// are passed over: no one asks for them.
func parseKept(text []byte) (layer, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var kept keptSettings
	if err := json.Unmarshal(text, &kept); err != nil {
		return nil, fmt.Errorf("the settings kept in the job: %w", err)
	}
	l := layer{}
	for name, values := range kept {
		l[name] = given{values: values, origin: "kept in the job"}
	}
	return l, nil
}

// differing lists the kept settings that are not the flags' defaults, as a
// command line would give them.
func (kept keptSettings) differing(flags []*kong.Flag) []string {
	var args []string
	for _, flag := range flags {
		values, ok := kept[flag.Name]
		if !ok || slices.Equal(values, defaults(flag)) {
			continue
		}
		for _, v := range kept.redacted()[flag.Name] {
			if flag.IsBool() {
				args = append(args, "--"+flag.Name)
				continue
			}
			args = append(args, "--"+flag.Name+" "+quote(v))
		}
	}
	return args
}

// defaults is a flag's default as keep would write it.
func defaults(flag *kong.Flag) []string {
	v := reflect.New(flag.Target.Type()).Elem()
	if flag.HasDefault {
		scan := kong.Scan().PushTyped(flag.Default, kong.FlagValueToken)
		if err := flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: scan}, v); err != nil {
			return nil
		}
	}
	return texts(v)
}

// quote writes s so that a shell reads it back as one word.
func quote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@%+,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

package extract

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/andybalholm/cascadia"
)

// A plan tells how to fill a struct type.
type plan struct {
	fields []field
}

// A field tells how to fill a field of a struct.
type field struct {
	name  string
	index []int

	selector string
	match    cascadia.SelectorGroup // nil for the scope itself
	children bool                   // match among the children of the scope, not all its descendants

	source    source
	attr      string
	absolute  bool
	json      bool   // the value is decoded by encoding/json
	ldType    string // the value is the JSON-LD of that type; "": it is not
	microdata bool   // the field is a property of a microdata item
	re        *regexp.Regexp
	fallback  string // when there is no value
	hasFall   bool
	required  bool

	list    bool         // the field is a slice of values
	pointer bool         // the value is behind a pointer
	typ     reflect.Type // of the value
	exists  bool         // a boolean that tells whether there is a value
	convert convert      // sets a value from text; nil for structs
	plan    *plan        // of a struct
}

// plans holds the compiled plan of each type that was used.
var plans sync.Map // reflect.Type to *plan

func planOf(t reflect.Type) (*plan, error) {
	if p, ok := plans.Load(t); ok {
		return p.(*plan), nil
	}
	c := compiler{plans: map[reflect.Type]*plan{}}
	p, err := c.compile(t)
	if err != nil {
		return nil, err
	}
	for t, p := range c.plans {
		plans.LoadOrStore(t, p)
	}
	return p, nil
}

// A compiler makes the plans of a type and of those it refers to, itself perhaps among them.
type compiler struct {
	plans map[reflect.Type]*plan
}

func (c *compiler) compile(t reflect.Type) (*plan, error) {
	if p, ok := plans.Load(t); ok {
		return p.(*plan), nil
	}
	if p, ok := c.plans[t]; ok {
		return p, nil
	}
	p := new(plan)
	c.plans[t] = p
	if err := c.addFields(p, t, t, nil); err != nil {
		return nil, err
	}
	if len(p.fields) == 0 {
		return nil, &TypeError{Type: t, Err: errors.New("no field has a tag")}
	}
	return p, nil
}

// tagNames are the tags that make a field one to be filled.
var tagNames = []string{"css", "meta", "itemprop", "itemtype", "jsonld", "attr", "as", "re", "default", "required", "layout"}

func isTagged(tag reflect.StructTag) bool {
	for _, name := range tagNames {
		if _, ok := tag.Lookup(name); ok {
			return true
		}
	}
	return false
}

// addFields adds the fields of t, which is root or embedded in it, to the plan of root.
func (c *compiler) addFields(p *plan, root, t reflect.Type, index []int) error {
	for i := range t.NumField() {
		sf := t.Field(i)
		at := append(index[:len(index):len(index)], i)
		if !isTagged(sf.Tag) {
			if sf.Anonymous && sf.Type.Kind() == reflect.Struct {
				if err := c.addFields(p, root, sf.Type, at); err != nil {
					return err
				}
			}
			continue
		}
		f, err := c.field(sf)
		if err != nil {
			var inner *TypeError
			if errors.As(err, &inner) {
				return err
			}
			return &TypeError{Type: root, Field: sf.Name, Err: err}
		}
		f.index = at
		p.fields = append(p.fields, *f)
	}
	return nil
}

func (c *compiler) field(sf reflect.StructField) (*field, error) {
	if !sf.IsExported() {
		return nil, errors.New("tagged but not exported")
	}
	f := &field{name: sf.Name}
	for _, step := range []func(reflect.StructTag) error{f.readSelector, f.readSource, f.readRules} {
		if err := step(sf.Tag); err != nil {
			return nil, err
		}
	}
	if err := c.readType(f, sf); err != nil {
		return nil, err
	}
	return f, f.checkFallback()
}

func (fd *field) readSelector(tag reflect.StructTag) error {
	given := 0
	if s, ok := tag.Lookup("css"); ok {
		given++
		fd.selector = strings.TrimSpace(s)
	}
	if name, ok := tag.Lookup("meta"); ok {
		given++
		fd.selector = fmt.Sprintf(`meta[property=%[1]q], meta[name=%[1]q]`, name)
		fd.source, fd.attr = fromAttribute, "content"
	}
	if name, ok := tag.Lookup("itemprop"); ok {
		given++
		fd.selector = fmt.Sprintf(`[itemprop~=%q]`, name)
		fd.source, fd.microdata = fromMicrodata, true
	}
	if typ, ok := tag.Lookup("itemtype"); ok {
		given++
		fd.selector = itemSelector(typ)
	}
	if typ, ok := tag.Lookup("jsonld"); ok {
		given++
		if typ == "" {
			return errors.New("jsonld names no type")
		}
		fd.selector, fd.ldType = ldSelector, typ
	}
	if given > 1 {
		return errors.New("more than one of the tags css, meta, itemprop, itemtype and jsonld")
	}
	if fd.selector == "" {
		return nil
	}
	selector, isChild := strings.CutPrefix(fd.selector, ">")
	if isChild && !isSimple(selector) {
		return fmt.Errorf("selector %q: what follows > must be a simple selector", fd.selector)
	}
	group, err := cascadia.ParseGroup(selector)
	if err != nil {
		return fmt.Errorf("selector %q: %w", fd.selector, err)
	}
	fd.match, fd.children = group, isChild
	return nil
}

// isSimple reports whether a selector neither relates elements to each other nor lists alternatives.
func isSimple(selector string) bool {
	depth := 0
	return !strings.ContainsFunc(strings.TrimSpace(selector), func(r rune) bool {
		switch r {
		case '[', '(':
			depth++
		case ']', ')':
			depth--
		}
		return depth == 0 && strings.ContainsRune(" \t\n>+~,", r)
	})
}

func (fd *field) readSource(tag reflect.StructTag) error {
	name, hasAttr := tag.Lookup("attr")
	if hasAttr {
		name, option, hasOption := strings.Cut(name, ",")
		if hasOption && option != "absolute" {
			return fmt.Errorf("attr has the unknown option %q", option)
		}
		fd.absolute = hasOption
		if name != "" {
			fd.source, fd.attr = fromAttribute, strings.ToLower(name)
		} else if fd.source == fromText {
			return errors.New("attr names no attribute")
		}
	}
	as, hasAs := tag.Lookup("as")
	if fd.ldType != "" {
		if hasAttr || hasAs && as != "json" {
			return errors.New("jsonld goes neither with attr nor with as")
		}
		fd.source, fd.json = fromRawText, true
		return nil
	}
	if !hasAs {
		return nil
	}
	if fd.json = as == "json"; fd.json {
		if fd.source == fromText {
			fd.source = fromRawText
		}
		return nil
	}
	if fd.source != fromText {
		return fmt.Errorf("as:%q does not go with an attribute", as)
	}
	var ok bool
	if fd.source, ok = sources[as]; !ok {
		return fmt.Errorf("as has the unknown kind %q", as)
	}
	return nil
}

func (fd *field) readRules(tag reflect.StructTag) (err error) {
	if pattern, ok := tag.Lookup("re"); ok {
		if fd.re, err = regexp.Compile(pattern); err != nil {
			return err
		}
	}
	fd.fallback, fd.hasFall = tag.Lookup("default")
	switch v := tag.Get("required"); v {
	case "true":
		fd.required = true
	case "", "false":
	default:
		return fmt.Errorf(`required must be "true" or "false", not %q`, v)
	}
	if fd.re != nil && fd.ldType != "" {
		return errors.New("re does not go with jsonld")
	}
	if fd.required && fd.hasFall {
		return errors.New("required and default exclude each other")
	}
	return nil
}

var (
	timeType       = reflect.TypeFor[time.Time]()
	urlType        = reflect.TypeFor[url.URL]()
	rawMessageType = reflect.TypeFor[json.RawMessage]()
)

func (c *compiler) readType(f *field, sf reflect.StructField) (err error) {
	t := sf.Type
	if f.ldType != "" && t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 {
		f.list = true
		t = t.Elem()
	}
	if f.json {
		f.typ, f.convert = t, toJSON
		return nil
	}
	layouts := timeLayouts
	if l, ok := sf.Tag.Lookup("layout"); ok {
		layouts = strings.Split(l, "|")
	}
	if t.Kind() == reflect.Slice && converterOf(t, layouts) == nil {
		f.list = true
		t = t.Elem()
	}
	if t.Kind() == reflect.Pointer {
		f.pointer = true
		t = t.Elem()
	}
	f.typ = t
	if t == rawMessageType && f.source == fromText {
		f.source = fromRawText // White space within JSON's strings counts.
	}
	if f.convert = converterOf(t, layouts); f.convert != nil {
		f.exists = t.Kind() == reflect.Bool && !f.list && (f.source == fromText && sf.Tag.Get("as") == "" || f.re != nil)
		return f.checkTextTags(sf.Tag)
	}
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("type %v cannot be filled", sf.Type)
	}
	for _, name := range []string{"attr", "as", "re", "default", "layout"} {
		if _, ok := sf.Tag.Lookup(name); ok {
			return fmt.Errorf("%s does not go with a struct", name)
		}
	}
	f.plan, err = c.compile(t)
	return err
}

// checkTextTags refuses tags that would have no effect.
func (fd *field) checkTextTags(tag reflect.StructTag) error {
	if _, ok := tag.Lookup("layout"); ok && fd.typ != timeType {
		return errors.New("layout goes with time.Time only")
	}
	if fd.absolute && fd.typ.Kind() != reflect.String && fd.typ != urlType {
		return errors.New("absolute goes with strings and URLs only")
	}
	return nil
}

// checkFallback refuses a default that does not fit its field.
func (fd *field) checkFallback() error {
	if !fd.hasFall {
		return nil
	}
	v := reflect.New(fd.typ).Elem()
	if err := fd.convert(v, fd.fallback, fd, nil); err != nil {
		return fmt.Errorf("default %q: %w", fd.fallback, err)
	}
	return nil
}

package extract

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/andybalholm/cascadia"
	"golang.org/x/net/html"
)

// Schema says as data what the tags of a struct type say in a program: which items a page has, and where their fields
// are. Its tags name its parts in YAML.
type Schema struct {
	// Name becomes the field "item" of each item. Empty: there is no such field.
	Name string `yaml:"item"`
	// Each selects the elements that are an item each, by CSS. Empty: the whole page is one item.
	Each string `yaml:"each"`
	// Fields are the fields of an item, at least one, by name.
	Fields map[string]Field `yaml:"fields"`
}

// Field says where the value of a field is, and what it is. What the parts up to Layout mean is told at the tags of
// the same names, in the package's documentation.
type Field struct {
	CSS      string  `yaml:"css"`
	Meta     string  `yaml:"meta"`
	Itemprop string  `yaml:"itemprop"`
	Itemtype string  `yaml:"itemtype"`
	JSONLD   string  `yaml:"jsonld"`
	Attr     string  `yaml:"attr"`
	As       string  `yaml:"as"`
	RE       string  `yaml:"re"`
	Default  *string `yaml:"default"`
	Required bool    `yaml:"required"`
	Layout   string  `yaml:"layout"`

	// Type is "string", "int", "number", "bool" (whether there is a value), "time", "url" (absolute) or "json".
	// Empty: "json" with JSONLD or as: json, else "string".
	Type string `yaml:"type"`
	// List takes all values instead of the first.
	List bool `yaml:"list"`
	// Fields make the value an object, whose fields are looked for in the element that this one selects.
	Fields map[string]Field `yaml:"fields"`
}

// Limits of a Schema.
const (
	maxSchemaFields = 1000
	maxSchemaDepth  = 16
)

// SchemaError tells which field of a Schema is wrong, and why.
type SchemaError struct {
	Field string // such as "reviews.author"; empty: the schema itself
	Err   error
}

func (e *SchemaError) Error() string {
	if e.Field == "" {
		return "extract: " + e.Err.Error()
	}
	return "extract: field " + e.Field + ": " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *SchemaError) Unwrap() error { return e.Err }

// Extractor finds the items that a Schema describes. It may be used by many goroutines at once.
type Extractor struct {
	name string
	each field        // finds the items; the scope itself if the page is one
	typ  reflect.Type // of an item
	plan *plan
}

// NewExtractor compiles a schema. The error is a *SchemaError.
func NewExtractor(s Schema) (*Extractor, error) {
	e := &Extractor{name: s.Name}
	if s.Each != "" {
		var err error
		if e.each.match, err = cascadia.ParseGroup(s.Each); err != nil {
			return nil, &SchemaError{"", fmt.Errorf("each: selector %q: %w", s.Each, err)}
		}
	}
	if _, ok := s.Fields["item"]; ok && s.Name != "" {
		return nil, &SchemaError{"item", errors.New("is the name of the item")}
	}
	left := maxSchemaFields
	var err error
	if e.typ, err = structOf(s.Fields, "", maxSchemaDepth, &left); err != nil {
		return nil, err
	}
	e.plan, err = (&compiler{plans: map[reflect.Type]*plan{}}).compile(e.typ)
	if err != nil {
		return nil, &SchemaError{"", err} // all was checked field by field
	}
	e.plan.nameByJSON(e.typ)
	return e, nil
}

// structOf makes the type that the fields describe.
func structOf(fields map[string]Field, parent string, depth int, left *int) (reflect.Type, error) {
	switch {
	case len(fields) == 0:
		return nil, &SchemaError{parent, errors.New("has no fields")}
	case depth == 0:
		return nil, &SchemaError{parent, fmt.Errorf("is more than %d objects deep", maxSchemaDepth)}
	}
	var list []reflect.StructField
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		path := name
		if parent != "" {
			path = parent + "." + name
		}
		if *left--; *left < 0 {
			return nil, &SchemaError{path, fmt.Errorf("there are more than %d fields", maxSchemaFields)}
		}
		sf, err := fields[name].structField(name, path, len(list), depth, left)
		if err != nil {
			return nil, err
		}
		list = append(list, sf)
	}
	return reflect.StructOf(list), nil
}

// structField makes the field of a struct, checked, that d describes.
func (d Field) structField(name, path string, number, depth int, left *int) (reflect.StructField, error) {
	fail := func(err error) (reflect.StructField, error) { return reflect.StructField{}, &SchemaError{path, err} }
	sf := reflect.StructField{Name: "F" + strconv.Itoa(number)}
	if !isJSONName(name) {
		return fail(errors.New("a name consists of letters, digits and -_.:/@#$"))
	}
	var err error
	if sf.Type, err = d.goType(path, depth, left); err != nil {
		return reflect.StructField{}, err
	}
	sf.Tag = d.tag(name)
	if _, err := (&compiler{plans: map[reflect.Type]*plan{}}).field(sf); err != nil {
		return fail(err)
	}
	return sf, nil
}

// isJSONName reports whether encoding/json takes the name from a tag as it is.
func isJSONName(name string) bool {
	for _, r := range name {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
		case r == '-', r == '_', r == '.', r == ':', r == '/', r == '@', r == '#', r == '$':
		default:
			return false
		}
	}
	return name != "" && name != "-"
}

// goType is the type of the values: behind a pointer, so that having none can be told, as null.
func (d Field) goType(path string, depth int, left *int) (t reflect.Type, err error) {
	typ := d.Type
	if typ == "" && (d.JSONLD != "" || d.As == "json") {
		typ = "json"
	}
	switch {
	case d.Fields != nil && d.Type != "":
		return nil, &SchemaError{path, errors.New("fields make an object: it has no other type")}
	case d.Fields != nil:
		if t, err = structOf(d.Fields, path, depth-1, left); err != nil {
			return nil, err
		}
		t = reflect.PointerTo(t)
	case typ == "json":
		t = rawMessageType // nil is null
	case typ == "bool" && !d.List:
		t = reflect.TypeFor[bool]()
	default:
		if t = scalars[typ]; t == nil {
			return nil, &SchemaError{path, fmt.Errorf("there is no type %q: it is one of string, int, number, bool, time, url, json", d.Type)}
		}
		if !d.List {
			t = reflect.PointerTo(t)
		}
	}
	if d.List {
		t = reflect.SliceOf(t)
	}
	return t, nil
}

var scalars = map[string]reflect.Type{
	"": reflect.TypeFor[string](), "string": reflect.TypeFor[string](), "url": reflect.TypeFor[string](),
	"int": reflect.TypeFor[int64](), "number": reflect.TypeFor[float64](), "bool": reflect.TypeFor[bool](),
	"time": reflect.TypeFor[time.Time](),
}

// tag is what d says, as struct tags.
func (d Field) tag(name string) reflect.StructTag {
	attr := d.Attr
	if d.Type == "url" {
		if attr == "" && d.Meta == "" && d.Itemprop == "" {
			attr = "href"
		}
		attr += ",absolute"
	}
	tag := fmt.Sprintf("json:%q", name)
	add := func(key, value string) {
		if value != "" {
			tag += fmt.Sprintf(" %s:%q", key, value)
		}
	}
	add("css", d.CSS)
	add("meta", d.Meta)
	add("itemprop", d.Itemprop)
	add("itemtype", d.Itemtype)
	add("jsonld", d.JSONLD)
	add("attr", attr)
	add("as", d.As)
	add("re", d.RE)
	add("layout", d.Layout)
	if d.Default != nil {
		tag += fmt.Sprintf(" default:%q", *d.Default)
	}
	if d.Required {
		add("required", "true")
	}
	if !isTagged(reflect.StructTag(tag)) {
		tag += ` css:""` // the scope itself
	}
	return reflect.StructTag(tag)
}

// nameByJSON makes errors name the fields as their schema does.
func (p *plan) nameByJSON(t reflect.Type) {
	for i := range p.fields {
		f := &p.fields[i]
		f.name = t.FieldByIndex(f.index).Tag.Get("json")
		if f.plan != nil {
			f.plan.nameByJSON(f.typ)
		}
	}
}

// Items returns the items below sel, as JSON objects with their fields in the order of names, null for values that
// the page does not have; URLs are resolved against base, which may be nil. An item without a value that is required
// is left out. The error joins the *Error of each item for what was missing or did not fit; there may be items
// nevertheless. A nil sel has no items.
func (e *Extractor) Items(sel *goquery.Selection, base *url.URL) (items []json.RawMessage, err error) {
	if sel == nil {
		return nil, nil
	}
	f := (&Decoder{Base: base}).filler() // one for all items: the limits are those of a page
	scopes := [][]*html.Node{sel.Nodes}
	if e.each.match != nil {
		scopes = nil
		for _, n := range f.find(&e.each, sel.Nodes) {
			scopes = append(scopes, []*html.Node{n})
		}
	}
	var errs []error
	for _, scope := range scopes {
		v := reflect.New(e.typ).Elem()
		f.errs, f.missing = Error{}, false
		f.fill(v, e.plan, scope, nil)
		if len(f.errs.Fields) > 0 {
			errs = append(errs, &Error{Fields: f.errs.Fields, Omitted: f.errs.Omitted})
		}
		if f.visits < 0 || f.bytes < 0 {
			break
		}
		if f.missing {
			continue
		}
		text, err := e.marshal(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("extract: %w", err))
			continue
		}
		items = append(items, text)
	}
	return items, errors.Join(errs...)
}

// marshal writes an item as JSON.
func (e *Extractor) marshal(v reflect.Value) (json.RawMessage, error) {
	text, err := json.Marshal(v.Interface())
	if err != nil || e.name == "" {
		return text, err
	}
	name, err := json.Marshal(e.name)
	if err != nil {
		return nil, err
	}
	return slices.Concat([]byte(`{"item":`), name, []byte{','}, text[1:]), nil
}

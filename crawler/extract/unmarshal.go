package extract

import (
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"
)

// Defaults of the limits in [Decoder].
const (
	DefaultMaxVisits = 10_000_000
	DefaultMaxBytes  = 64 << 20
	DefaultMaxDepth  = 64
	DefaultMaxErrors = 100
)

// A Decoder fills structs. Its zero value works, and may be used by many goroutines at once.
type Decoder struct {
	// Base is the URL against which URLs in the page are resolved: that of the page, or of its base element. Nil
	// leaves them as they are.
	Base *url.URL

	// Limits for what a page can make of a struct. Fields beyond the first two fail with ErrTooMuch, structs
	// beyond the third with ErrTooDeep.
	MaxVisits int // elements visited in search of all fields, again for each field. 0 means DefaultMaxVisits
	MaxBytes  int // bytes of all values together. 0 means DefaultMaxBytes
	MaxDepth  int // structs within structs. 0 means DefaultMaxDepth
	MaxErrors int // field errors that are listed; further ones are counted. 0 means DefaultMaxErrors
}

// Unmarshal fills the struct that v points to from sel, whose elements are the scope of its fields, resolving URLs
// against base, which may be nil. It returns an [*Error] when values are missing or do not fit, and a [*TypeError]
// when v or the tags are wrong; only then v is left as it was. A nil or empty sel has no values.
func Unmarshal(sel *goquery.Selection, base *url.URL, v any) error {
	return (&Decoder{Base: base}).Unmarshal(sel, v)
}

// Unmarshal is like the function [Unmarshal].
func (d *Decoder) Unmarshal(sel *goquery.Selection, v any) error {
	dst := reflect.ValueOf(v)
	if dst.Kind() != reflect.Pointer || dst.IsNil() || dst.Elem().Kind() != reflect.Struct {
		return &TypeError{Type: reflect.TypeOf(v), Err: errors.New("want a pointer to a struct that is not nil")}
	}
	p, err := planOf(dst.Elem().Type())
	if err != nil {
		return err
	}
	var scope []*html.Node
	if sel != nil {
		scope = sel.Nodes
	}
	return d.fill(dst.Elem(), p, scope)
}

// fill fills the struct v by its plan.
func (d *Decoder) fill(v reflect.Value, p *plan, scope []*html.Node) error {
	f := d.filler()
	f.fill(v, p, scope, nil)
	if len(f.errs.Fields) > 0 {
		return &f.errs
	}
	return nil
}

func (d *Decoder) filler() filler {
	return filler{
		base:   d.Base,
		visits: orDefault(d.MaxVisits, DefaultMaxVisits),
		bytes:  orDefault(d.MaxBytes, DefaultMaxBytes),
		depth:  orDefault(d.MaxDepth, DefaultMaxDepth),
		errors: orDefault(d.MaxErrors, DefaultMaxErrors),
	}
}

func orDefault(n, standard int) int {
	if n == 0 {
		return standard
	}
	return n
}

// A filler fills one struct and those within.
type filler struct {
	base   *url.URL
	visits int // how many more elements may be visited; negative when there were more
	bytes  int // how many more bytes the values may have; negative when there were more
	depth  int // how many more structs may be within each other
	errors int // how many errors are listed
	errs   Error

	missing bool // a required value was
}

// A path leads to a field.
type path struct {
	parent *path
	field  *field
	index  int // within a slice; -1 for the field itself
}

func (p *path) String() string {
	s := p.field.name
	if p.parent != nil {
		s = p.parent.String() + "." + s
	}
	if p.index >= 0 {
		s += "[" + strconv.Itoa(p.index) + "]"
	}
	return s
}

// maxErrorText is how much of a value an error repeats.
const maxErrorText = 100

func (f *filler) fail(at *path, text string, err error) {
	if len(f.errs.Fields) >= max(f.errors, 1) {
		f.errs.Omitted++
		return
	}
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "")
	}
	f.errs.Fields = append(f.errs.Fields, FieldError{Path: at.String(), Selector: at.field.selector, Text: text, Err: err})
}

// fill fills the struct v from the elements of scope.
func (f *filler) fill(v reflect.Value, p *plan, scope []*html.Node, parent *path) {
	for i := range p.fields {
		fd := &p.fields[i]
		at := path{parent: parent, field: fd, index: -1}
		dst := v.FieldByIndex(fd.index)
		dst.SetZero()
		nodes := f.find(fd, scope)
		if f.visits < 0 {
			f.fail(&at, "", ErrTooMuch)
			continue
		}
		if !f.set(dst, fd, nodes, &at) {
			f.setMissing(dst, fd, &at)
		}
	}
}

// find returns the elements that a field is about, in the order of the document.
func (f *filler) find(fd *field, scope []*html.Node) (found []*html.Node) {
	if fd.match == nil {
		return scope
	}
	for _, n := range scope {
		found = f.findBelow(found, fd, n)
	}
	if fd.microdata {
		found = f.properties(fd, scope, found)
	}
	if len(scope) > 1 { // The elements of a selection may be within each other.
		found = distinct(found)
	}
	return found
}

func (f *filler) findBelow(found []*html.Node, fd *field, n *html.Node) []*html.Node {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type != html.ElementNode {
			continue
		}
		if f.visits--; f.visits < 0 {
			return nil
		}
		if fd.match.Match(c) {
			found = append(found, c)
		}
		if !fd.children {
			found = f.findBelow(found, fd, c)
		}
	}
	return found
}

func distinct(nodes []*html.Node) []*html.Node {
	seen := make(map[*html.Node]bool, len(nodes))
	return slices.DeleteFunc(nodes, func(n *html.Node) bool {
		again := seen[n]
		seen[n] = true
		return again
	})
}

// set sets a field from its elements and reports whether there was a value, be it a wrong one.
func (f *filler) set(dst reflect.Value, fd *field, nodes []*html.Node, at *path) bool {
	switch {
	case fd.plan != nil && fd.list:
		return f.setStructs(dst, fd, nodes, at)
	case fd.plan != nil:
		return f.setStruct(dst, fd, nodes, at)
	case fd.list:
		return f.setList(dst, fd, nodes, at)
	case fd.exists:
		return f.setExists(dst, fd, nodes, at)
	}
	return f.setOne(dst, fd, nodes, at)
}

// setMissing deals with a field for which there is no value.
func (f *filler) setMissing(dst reflect.Value, fd *field, at *path) {
	switch {
	case fd.required:
		f.missing = true
		f.fail(at, "", ErrMissing)
	case fd.hasFall && fd.list:
		elem := reflect.New(dst.Type().Elem()).Elem()
		if f.convert(elem, fd, fd.fallback, at) {
			dst.Set(reflect.Append(dst, elem))
		}
	case fd.hasFall:
		f.convert(dst, fd, fd.fallback, at)
	}
}

// reach returns the place of the value itself, behind a new pointer if the field is one.
func (fd *field) reach(dst reflect.Value) reflect.Value {
	if !fd.pointer {
		return dst
	}
	dst.Set(reflect.New(fd.typ))
	return dst.Elem()
}

// convert sets dst to what text says, or to zero with an error noted.
func (f *filler) convert(dst reflect.Value, fd *field, text string, at *path) bool {
	if err := fd.convert(fd.reach(dst), text, fd, f.base); err != nil {
		dst.SetZero()
		f.fail(at, text, err)
		return false
	}
	return true
}

// matches returns at most n values of an element, all when n is negative: its value, or what the pattern finds in it.
func (f *filler) matches(fd *field, e *html.Node, n int) []string {
	text, ok := fd.value(e)
	if f.bytes -= len(text); !ok {
		return nil
	}
	if fd.ldType != "" {
		return linkedData(text, fd.ldType, n)
	}
	if fd.re == nil {
		return []string{text}
	}
	found := fd.re.FindAllStringSubmatch(text, n)
	values := make([]string, len(found))
	for i, groups := range found {
		values[i] = groups[min(1, len(groups)-1)]
	}
	return values
}

// counts reports whether a text is a value.
func (fd *field) counts(text string) bool {
	return strings.TrimSpace(text) != "" || fd.typ.Kind() == reflect.Bool && fd.source == fromAttribute
}

// setOne sets a field that holds one value from the first element that has one.
func (f *filler) setOne(dst reflect.Value, fd *field, nodes []*html.Node, at *path) bool {
	for _, n := range nodes {
		if f.bytes < 0 {
			f.fail(at, "", ErrTooMuch)
			return true
		}
		for _, text := range f.matches(fd, n, 1) {
			if fd.counts(text) {
				f.convert(dst, fd, text, at)
				return true
			}
		}
	}
	return false
}

// setExists sets a boolean that tells whether there is what its field asks for.
func (f *filler) setExists(dst reflect.Value, fd *field, nodes []*html.Node, at *path) bool {
	for _, n := range nodes {
		if f.bytes < 0 {
			f.fail(at, "", ErrTooMuch)
			return true
		}
		if fd.re == nil || len(f.matches(fd, n, 1)) > 0 {
			fd.reach(dst).SetBool(true)
			return true
		}
	}
	return false
}

// listCost is what a value of a list costs of Decoder.MaxBytes beside its text.
const listCost = 64

func (f *filler) setList(dst reflect.Value, fd *field, nodes []*html.Node, at *path) bool {
	found := false
	for _, n := range nodes {
		if f.bytes < 0 {
			f.fail(at, "", ErrTooMuch)
			return true
		}
		for _, text := range f.matches(fd, n, f.bytes/listCost+1) {
			if f.bytes -= listCost; f.bytes < 0 {
				f.fail(at, "", ErrTooMuch)
				return true
			}
			if !fd.counts(text) {
				continue
			}
			found = true
			elem := reflect.New(dst.Type().Elem()).Elem()
			if f.convert(elem, fd, text, &path{parent: at.parent, field: fd, index: dst.Len()}) {
				dst.Set(reflect.Append(dst, elem))
			}
		}
	}
	return found
}

func (f *filler) setStruct(dst reflect.Value, fd *field, nodes []*html.Node, at *path) bool {
	if len(nodes) == 0 {
		return false
	}
	if fd.match != nil {
		nodes = nodes[:1]
	}
	f.descend(fd.reach(dst), fd, nodes, at)
	return true
}

func (f *filler) setStructs(dst reflect.Value, fd *field, nodes []*html.Node, at *path) bool {
	if len(nodes) == 0 {
		return false
	}
	if f.bytes -= len(nodes) * int(fd.typ.Size()); f.bytes < 0 {
		f.fail(at, "", ErrTooMuch)
		return true
	}
	dst.Set(reflect.MakeSlice(dst.Type(), len(nodes), len(nodes)))
	for i := range nodes {
		f.descend(fd.reach(dst.Index(i)), fd, nodes[i:i+1], &path{parent: at.parent, field: fd, index: i})
	}
	return true
}

// descend fills a struct within the current one.
func (f *filler) descend(v reflect.Value, fd *field, scope []*html.Node, at *path) {
	if f.depth <= 1 {
		f.fail(at, "", ErrTooDeep)
		return
	}
	f.depth--
	f.fill(v, fd.plan, scope, at)
	f.depth++
}

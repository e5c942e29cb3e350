package export

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/orbweaver/orbweaver/storage"
)

// Filter selects records by an expression, such as
//
//	status >= 400 and not host ~ "^(www\.)?example\.org$"
//
// An expression compares fields (see the package comment) with values and joins
// comparisons with and, or, not and parentheses; not binds strongest, or weakest.
// &&, || and ! are other ways to write them.
//
//	field = value, !=, <, <=, >, >=   compares
//	field ~ value, field !~ value     matches a regular expression (RE2) or not
//	field contains value              has the value somewhere in it
//	field                             alone: true, not zero, not empty
//
// Values are words, or quoted with " (in which \" and \\ stand for " and \) or with '
// (in which nothing does); they must be quoted if they have spaces or characters of
// the language in them. What they may be depends on the field:
//
//	numbers       -12; sizes for bytes and wire_bytes, such as 10k, 1MiB or 2GB;
//	              durations for duration_ms, such as 250ms or 1.5s
//	fetched_at    2026-05-01, 2026-05-01T12:00:00 or with a zone, else in UTC
//	truncated     true or false
//	all others    text, compared byte by byte; ~ and contains are for these alone
//
// A Filter does not change and may be used by several goroutines at once.
type Filter struct {
	text  string
	match func(*storage.Record) bool
}

// Match reports whether the filter selects r. A nil Filter selects all.
func (f *Filter) Match(r *storage.Record) bool { return f == nil || f.match(r) }

// String returns the expression as it was given.
func (f *Filter) String() string {
	if f == nil {
		return ""
	}
	return f.text
}

// FilterError says where and why an expression cannot be read.
type FilterError struct {
	Text   string // the expression
	Offset int    // of what is wrong, in bytes
	Reason string
}

func (e *FilterError) Error() string {
	return fmt.Sprintf("export: filter at offset %d: %s", e.Offset, e.Reason)
}

// Limits of an expression.
const (
	maxFilter = 64 << 10
	maxDepth  = 100
)

// ParseFilter reads an expression. The error is a [*FilterError].
func ParseFilter(text string) (*Filter, error) {
	if len(text) > maxFilter {
		return nil, &FilterError{Text: text[:100], Reason: fmt.Sprintf("it is longer than %d bytes", maxFilter)}
	}
	p := &filterParser{text: text, fields: fields()}
	if err := p.next(); err != nil {
		return nil, err
	}
	match, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokenEnd {
		return nil, p.fail("%s is not expected here", p.tok)
	}
	return &Filter{text, match}, nil
}

// tokenKind is what a piece of an expression is.
type tokenKind int

const (
	tokenEnd      tokenKind = iota
	tokenWord               // a name, a value or a word of the language
	tokenQuoted             // a value
	tokenOperator           // a comparison
	tokenOpen
	tokenClose
	tokenAnd // && || ! as signs
	tokenOr
	tokenNot
)

type token struct {
	kind   tokenKind
	text   string // of a quoted value: without quotes
	offset int
}

func (t token) String() string {
	if t.kind == tokenEnd {
		return "the end"
	}
	return fmt.Sprintf("%.40q", t.text)
}

// is reports whether t is a word of the language, or the sign for it.
func (t token) is(kind tokenKind, word string) bool {
	return t.kind == kind || t.kind == tokenWord && strings.EqualFold(t.text, word)
}

// filterParser makes a function of an expression. It is a recursive descent.
type filterParser struct {
	text   string
	fields []field
	pos    int   // behind tok
	tok    token // to be looked at
	depth  int
}

type matcher = func(*storage.Record) bool

func (p *filterParser) fail(format string, args ...any) error {
	return &FilterError{Text: p.text, Offset: p.tok.offset, Reason: fmt.Sprintf(format, args...)}
}

func (p *filterParser) or() (matcher, error)  { return p.list(tokenOr, "or", p.and) }
func (p *filterParser) and() (matcher, error) { return p.list(tokenAnd, "and", p.not) }

// list reads one or more parts joined by a word.
func (p *filterParser) list(sign tokenKind, word string, part func() (matcher, error)) (matcher, error) {
	first, err := part()
	if err != nil {
		return nil, err
	}
	parts := []matcher{first}
	for p.tok.is(sign, word) {
		if err := p.next(); err != nil {
			return nil, err
		}
		more, err := part()
		if err != nil {
			return nil, err
		}
		parts = append(parts, more)
	}
	if len(parts) == 1 {
		return first, nil
	}
	ends := sign == tokenOr // the result that ends the search
	return func(r *storage.Record) bool {
		for _, match := range parts {
			if match(r) == ends {
				return ends
			}
		}
		return !ends
	}, nil
}

func (p *filterParser) not() (matcher, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail("more than %d levels", maxDepth)
	}
	defer func() { p.depth-- }()
	switch {
	case p.tok.is(tokenNot, "not"):
		if err := p.next(); err != nil {
			return nil, err
		}
		match, err := p.not()
		if err != nil {
			return nil, err
		}
		return func(r *storage.Record) bool { return !match(r) }, nil
	case p.tok.kind == tokenOpen:
		if err := p.next(); err != nil {
			return nil, err
		}
		match, err := p.or()
		if err != nil {
			return nil, err
		}
		if p.tok.kind != tokenClose {
			return nil, p.fail("%s is not expected here, but )", p.tok)
		}
		return match, p.next()
	}
	return p.comparison()
}

// comparison reads a field, and what it is compared with.
func (p *filterParser) comparison() (matcher, error) {
	if p.tok.kind != tokenWord {
		return nil, p.fail("%s is not expected here, but the name of a field", p.tok)
	}
	i := slices.IndexFunc(p.fields, func(f field) bool { return f.name == p.tok.text })
	if i < 0 {
		return nil, p.fail("there is no field %.40q; known are %s", p.tok.text, strings.Join(names(p.fields), ", "))
	}
	f := &p.fields[i]
	if err := p.next(); err != nil {
		return nil, err
	}
	operator := p.tok.text
	switch {
	case p.tok.kind == tokenOperator:
	case p.tok.is(tokenOperator, "contains"):
		operator = "contains"
	default:
		return f.given(), nil
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	if p.tok.kind != tokenWord && p.tok.kind != tokenQuoted {
		return nil, p.fail("%s is not expected here, but a value", p.tok)
	}
	match, err := f.compare(operator, p.tok.text)
	if err != nil {
		return nil, p.fail("%v", err)
	}
	return match, p.next()
}

// operators are the comparisons, a longer one before what it begins with.
var operators = [...]string{"==", "!=", "!~", "<=", ">=", "=", "<", ">", "~"}

// next reads the next token.
func (p *filterParser) next() error {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
	p.tok = token{offset: p.pos}
	rest := p.text[p.pos:]
	if rest == "" {
		return nil
	}
	if c := rest[0]; c == '"' || c == '\'' {
		return p.quoted(c)
	}
	for _, sign := range [...]struct {
		text string
		kind tokenKind
	}{{"(", tokenOpen}, {")", tokenClose}, {"&&", tokenAnd}, {"||", tokenOr}} {
		if strings.HasPrefix(rest, sign.text) {
			p.take(sign.kind, len(sign.text))
			return nil
		}
	}
	for _, o := range operators {
		if strings.HasPrefix(rest, o) {
			p.take(tokenOperator, len(o))
			return nil
		}
	}
	if rest[0] == '!' {
		p.take(tokenNot, 1)
		return nil
	}
	n := strings.IndexAny(rest, " \t\r\n()\"'=!<>~&|")
	switch {
	case n < 0:
		n = len(rest)
	case n == 0:
		return p.fail("%q is no part of the language; quote values", rest[:1])
	}
	p.take(tokenWord, n)
	return nil
}

func (p *filterParser) take(kind tokenKind, n int) {
	p.tok.kind, p.tok.text = kind, p.text[p.pos:p.pos+n]
	p.pos += n
}

// quoted reads a value in quotes.
func (p *filterParser) quoted(quote byte) error {
	var b strings.Builder
	for i := p.pos + 1; i < len(p.text); i++ {
		c := p.text[i]
		switch {
		case c == quote:
			p.tok.kind, p.tok.text = tokenQuoted, b.String()
			p.pos = i + 1
			return nil
		case c == '\\' && quote == '"' && i+1 < len(p.text) && (p.text[i+1] == '"' || p.text[i+1] == '\\'):
			i++
			c = p.text[i]
		}
		b.WriteByte(c)
	}
	return p.fail("there is no end of what is quoted")
}

// compileRegexp is regexp.Compile with a shorter error.
func compileRegexp(text string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("%.40q is no regular expression: %s", text, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re, nil
}

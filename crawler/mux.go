package crawler

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// Mux is a Handler that gives each page to the first of its routes that
// matches, in the order in which they were added, and ignores pages that none
// matches. Routes are added before the crawl starts; after that a Mux may be
// used at once.
type Mux struct {
	routes []route
}

// Route says which pages go to a handler. Zero fields match everything, but
// for Status.
type Route struct {
	// Host is a pattern as those of Condition.Hosts: "example.org", ".example.org"
	// with all below it, "*.example.org", each with ":8080" if only that port is
	// meant.
	Host string
	// Path is compared segment by segment, each without its percent-encoding:
	// "/größe" is the path that URLs have as "/gr%C3%B6%C3%9Fe", and may be written
	// like that, too. "{name}" takes one segment and "{name...}" at the end takes the
	// rest; Page.PathValue returns them. A path that ends in a slash takes everything
	// below it.
	Path string
	// Label is what Request.Label was when the page was asked for.
	Label string
	// Status is the response's. Zero: 200 to 299.
	Status int
	// Type is the content type, "text/html", or its first part, "image/".
	Type string
	// Handler gets the pages.
	Handler Handler
}

type route struct {
	Route
	hosts    hostTable[struct{}] // the pattern that Host is
	segments []segment           // of Path; nil: any
	prefix   bool                // Path ends in a slash
}

// segment is one of a Route's Path.
type segment struct {
	text string // decoded; of a wildcard its name
	wild bool
	rest bool // the wildcard takes all segments that are left
}

// NewMux returns a Mux without routes.
func NewMux() *Mux { return &Mux{} }

// On adds a route for a pattern of host and path, such as
// "example.org/blog/{slug}" or "/about". It panics as Add does.
func (m *Mux) On(pattern string, f func(ctx context.Context, p *Page) error) {
	host, path := pattern, ""
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		host, path = pattern[:i], pattern[i:]
	}
	m.Add(Route{Host: host, Path: path, Handler: HandlerFunc(f)})
}

// Add adds a route. It panics if the route has no handler, or a malformed host or
// path, which is a mistake in the program.
func (m *Mux) Add(r Route) {
	if r.Handler == nil {
		panic("crawler: a route needs a handler")
	}
	compiled, err := compileRoute(r)
	if err != nil {
		panic(err)
	}
	m.routes = append(m.routes, compiled)
}

func compileRoute(r Route) (route, error) {
	c := route{Route: r}
	if r.Host != "" {
		p, err := parseHostPattern(r.Host)
		if err != nil {
			return c, fmt.Errorf("crawler: the host of a route: %w", err)
		}
		c.hosts.add(p, struct{}{})
	}
	if r.Path == "" {
		return c, nil
	}
	if r.Path[0] != '/' {
		return c, fmt.Errorf("crawler: the path %q of a route must begin with a slash", r.Path)
	}
	path := r.Path[1:]
	if strings.HasSuffix(r.Path, "/") {
		c.prefix = true
		path = strings.TrimSuffix(path, "/")
	}
	c.segments = []segment{}
	if path == "" {
		return c, nil
	}
	texts := strings.Split(path, "/")
	for i, text := range texts {
		s, ok := compileSegment(text)
		switch {
		case !ok:
			return c, fmt.Errorf("crawler: the path %q of a route has a malformed wildcard %q", r.Path, text)
		case s.rest && (i < len(texts)-1 || c.prefix):
			return c, fmt.Errorf("crawler: the wildcard %q must end the path %q", text, r.Path)
		}
		c.segments = append(c.segments, s)
	}
	return c, nil
}

func compileSegment(text string) (s segment, ok bool) {
	if !strings.ContainsAny(text, "{}") {
		return segment{text: decoded(text)}, true
	}
	name, opened := strings.CutPrefix(text, "{")
	name, closed := strings.CutSuffix(name, "}")
	s.wild = true
	s.text, s.rest = strings.CutSuffix(name, "...")
	return s, opened && closed && name != "" && !strings.ContainsAny(name, "{}")
}

// decoded returns a part of a path without its percent-encoding, if that is sound.
func decoded(part string) string {
	if text, err := url.PathUnescape(part); err == nil {
		return text
	}
	return part
}

// Handle gives the page to the first route that matches.
func (m *Mux) Handle(ctx context.Context, p *Page) error {
	u, err := weburl.Parse(p.URL)
	if err != nil {
		return err
	}
	for i := range m.routes {
		if values, ok := m.routes[i].match(u, p); ok {
			p.values = values
			return m.routes[i].Handler.Handle(ctx, p)
		}
	}
	return nil
}

// WantsStatus says whether a route is for that status; the crawler asks it when
// Config.Statuses is nil.
func (m *Mux) WantsStatus(status int) bool {
	for _, r := range m.routes {
		if r.wantsStatus(status) {
			return true
		}
	}
	return false
}

func (r *route) wantsStatus(status int) bool {
	if r.Status == 0 {
		return status/100 == 2
	}
	return status == r.Status
}

func (r *route) match(u weburl.URL, p *Page) (values map[string]string, ok bool) {
	if !r.wantsStatus(p.Status) || !r.matchHost(u) || !r.matchType(p.ContentType) || r.Label != "" && r.Label != p.Label {
		return nil, false
	}
	return r.matchPath(u.Path())
}

func (r *route) matchHost(u weburl.URL) bool {
	if r.Host == "" {
		return true
	}
	_, ok := r.hosts.find(u.Hostname(), u.Port())
	return ok
}

func (r *route) matchType(t string) bool {
	return r.Type == "" || r.Type == t || strings.HasSuffix(r.Type, "/") && strings.HasPrefix(t, r.Type)
}

func (r *route) matchPath(path string) (values map[string]string, ok bool) {
	if r.segments == nil {
		return nil, true
	}
	rest := strings.TrimPrefix(path, "/")
	more := true // whether rest is a segment, be it an empty one
	for _, s := range r.segments {
		if !more {
			return nil, false
		}
		if s.rest {
			return set(values, s.text, decoded(rest)), true
		}
		var part string
		part, rest, more = strings.Cut(rest, "/")
		switch part = decoded(part); {
		case s.wild && part != "":
			values = set(values, s.text, part)
		case s.wild, s.text != part:
			return nil, false
		}
	}
	if len(r.segments) == 0 {
		return values, r.prefix || rest == ""
	}
	return values, more == r.prefix
}

func set(values map[string]string, name, value string) map[string]string {
	if values == nil {
		values = make(map[string]string)
	}
	values[name] = value
	return values
}

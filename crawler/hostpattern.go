package crawler

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// hostPattern is one of Condition.Hosts or Site.Hosts in parts.
type hostPattern struct {
	name  string // canonical; of a tree without its dot, of a glob with its stars
	port  string // "": every port
	shape hostShape
}

type hostShape int

const (
	hostExact hostShape = iota
	hostTree            // name and all below it
	hostBelow           // all below name
	hostGlob
)

var errHostPattern = errors.New("is no host: write example.org, .example.org or *.example.org, each with :PORT if only that is meant")

func parseHostPattern(text string) (p hostPattern, err error) {
	name := text
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, ']') {
		name, p.port = text[:i], text[i+1:]
		if p.port == "" || strings.Trim(p.port, "0123456789") != "" {
			return p, fmt.Errorf("%q %w", text, errHostPattern)
		}
	}
	switch rest, below := strings.CutPrefix(name, "*."); {
	case strings.HasPrefix(name, "."):
		p.shape, name = hostTree, name[1:]
	case below && !strings.Contains(rest, "*"):
		p.shape, name = hostBelow, rest
	case strings.Contains(name, "*"):
		p.shape = hostGlob
		p.name = strings.ToLower(name)
		if strings.ContainsAny(name, "/@?#% []") {
			err = fmt.Errorf("%q %w", text, errHostPattern)
		}
		return p, err
	}
	if strings.ContainsAny(name, "/@?#%\\ \t\r\n") || name == "" {
		return p, fmt.Errorf("%q %w", text, errHostPattern)
	}
	u, err := weburl.Parse("http://" + name + "/")
	if err != nil || u.Port() != "" {
		return p, fmt.Errorf("%q %w", text, errHostPattern)
	}
	p.name = u.Hostname()
	if _, err := netip.ParseAddr(p.name); err == nil && p.shape != hostExact {
		return p, fmt.Errorf("%q %w", text, errHostPattern)
	}
	return p, nil
}

// hostTable finds the value of the most specific pattern that a host matches, at
// a cost that does not grow with their number, but for globs, which are tried one
// after another when nothing else matches.
type hostTable[V any] struct {
	exact, below map[string]V // by name, or by name and port
	globs        []hostEntry[V]
}

type hostEntry[V any] struct {
	hostPattern
	value V
}

// add adds a pattern and says whether it is new.
func (t *hostTable[V]) add(p hostPattern, value V) bool {
	key := p.name
	if p.port != "" {
		key += ":" + p.port
	}
	put := func(to *map[string]V) bool {
		if *to == nil {
			*to = make(map[string]V)
		}
		_, known := (*to)[key]
		if !known {
			(*to)[key] = value
		}
		return !known
	}
	switch p.shape {
	case hostExact:
		return put(&t.exact)
	case hostTree:
		atTop, below := put(&t.exact), put(&t.below)
		return atTop && below
	case hostBelow:
		return put(&t.below)
	}
	for _, g := range t.globs {
		if g.hostPattern == p {
			return false
		}
	}
	t.globs = append(t.globs, hostEntry[V]{p, value})
	return true
}

// find returns the value for a URL's host. With a port is more specific than
// without, a longer name more than a shorter one, and a glob less than any other.
func (t *hostTable[V]) find(name, port string) (v V, ok bool) {
	if v, ok = lookupHost(t.exact, name, port); ok {
		return v, true
	}
	if len(t.below) > 0 {
		for rest := name; ; {
			_, parent, more := strings.Cut(rest, ".")
			if !more {
				break
			}
			if v, ok = lookupHost(t.below, parent, port); ok {
				return v, true
			}
			rest = parent
		}
	}
	for i := range t.globs {
		g := &t.globs[i]
		if (g.port == "" || g.port == port) && matchGlob(g.name, name) {
			return g.value, true
		}
	}
	return v, false
}

func lookupHost[V any](m map[string]V, name, port string) (v V, ok bool) {
	if len(m) == 0 {
		return v, false
	}
	if port != "" {
		var buf [272]byte // longer names go to the heap
		key := append(append(append(buf[:0], name...), ':'), port...)
		if v, ok = m[string(key)]; ok {
			return v, true
		}
	}
	v, ok = m[name]
	return v, ok
}

// matchGlob matches a pattern in which "*" stands for any number of characters,
// in time linear in the text for each star.
func matchGlob(pattern, text string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], after
	}
}

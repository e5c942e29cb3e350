package extract

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// properties narrows found, the elements with a field's itemprop, to the properties of the items that scope consists
// of: what stands in an item within is that item's. It adds those in the elements that a scope names in its itemref
// (HTML standard, section 5.2.5). A scope that is no item has all properties below it.
func (f *filler) properties(fd *field, scope, found []*html.Node) []*html.Node {
	if !slices.ContainsFunc(scope, isItem) {
		return found
	}
	found = slices.DeleteFunc(found, func(n *html.Node) bool {
		owner := ownerOf(n)
		return owner == nil || !slices.Contains(scope, owner)
	})
	for _, item := range scope {
		refs, _ := attribute(item, "itemref")
		for _, id := range strings.Fields(refs) {
			n := f.byID(rootOf(item), id)
			if n == nil || below(item, n) {
				continue
			}
			if fd.match.Match(n) {
				found = append(found, n)
			}
			for _, p := range f.findBelow(nil, fd, n) {
				if o := ownerOf(p); o == nil || !below(n, o) {
					found = append(found, p)
				}
			}
		}
	}
	return found
}

func isItem(n *html.Node) bool {
	_, ok := attribute(n, "itemscope")
	return ok
}

// ownerOf is the item that n, itself perhaps an item, is a property of, or nil.
func ownerOf(n *html.Node) *html.Node {
	for p := n.Parent; p != nil; p = p.Parent {
		if isItem(p) {
			return p
		}
	}
	return nil
}

// below reports whether n is top or one of its descendants.
func below(top, n *html.Node) bool {
	for ; n != nil; n = n.Parent {
		if n == top {
			return true
		}
	}
	return false
}

func rootOf(n *html.Node) *html.Node {
	for n.Parent != nil {
		n = n.Parent
	}
	return n
}

// byID returns the first element below n that has the id, or nil.
func (f *filler) byID(n *html.Node, id string) *html.Node {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if f.visits--; f.visits < 0 {
			return nil
		}
		if v, ok := attribute(c, "id"); ok && v == id {
			return c
		}
		if found := f.byID(c, id); found != nil {
			return found
		}
	}
	return nil
}

package links_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/orbweaver/orbweaver/crawler/links"
)

// findings is what a reader of a document found, in a form that can be compared.
type findings struct {
	base, title string
	links       []string // "kind tag attr url"
}

func line(kind links.Kind, tag, attr, url string) string {
	return fmt.Sprintf("%v %s %s %q", kind, tag, attr, url)
}

// extract is what Extract finds.
func extract(body []byte, opts links.Options) findings {
	var f findings
	page := links.Extract(body, opts, func(l links.Link) bool {
		f.links = append(f.links, line(l.Kind, l.Tag, l.Attr, string(l.URL)))
		return true
	})
	f.base, f.title = string(page.Base), string(page.Title)
	return f
}

// A treeReader finds the same in the tree that golang.org/x/net/html builds.
type treeReader struct {
	findings
	based, titled bool
	nesting       int
}

func readTree(body []byte) (findings, error) {
	root, err := html.ParseWithOptions(bytes.NewReader(body), html.ParseOptionEnableScripting(false))
	if err != nil {
		return findings{}, err
	}
	var r treeReader
	r.read(root)
	return r.findings, nil
}

func (r *treeReader) read(n *html.Node) {
	if n.Type == html.ElementNode {
		r.element(n)
	}
	if n.Data == "template" && n.Namespace == "" && n.Type == html.ElementNode {
		mode, _ := attr(n, "", "shadowrootmode")
		if mode = strings.ToLower(mode); mode != "open" && mode != "closed" {
			return
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		r.read(c)
	}
}

func attr(n *html.Node, namespace, key string) (string, bool) {
	for _, a := range n.Attr {
		if a.Namespace == namespace && a.Key == key {
			return a.Val, true
		}
	}
	return "", false
}

func (r *treeReader) add(kind links.Kind, n *html.Node, key, url string) {
	if url = cleanURL(url); url != "" {
		r.links = append(r.links, line(kind, strings.ToLower(n.Data), key, url))
	}
}

func (r *treeReader) addAttr(kind links.Kind, n *html.Node, key string) {
	if v, ok := attr(n, "", key); ok {
		r.add(kind, n, key, v)
	}
}

func cleanURL(url string) string {
	url = strings.TrimFunc(url, func(c rune) bool { return c <= ' ' })
	return strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(url)
}

// words parts text at HTML's white space.
func words(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune("\t\n\f\r ", c) })
}

func (r *treeReader) element(n *html.Node) {
	if n.Namespace != "" {
		r.foreign(n)
		return
	}
	switch n.Data {
	case "a", "area":
		r.addAttr(links.Anchor, n, "href")
		ping, _ := attr(n, "", "ping")
		for _, url := range words(ping) {
			r.add(links.Ping, n, "ping", url)
		}
	case "base":
		if href, ok := attr(n, "", "href"); ok && !r.based && r.nesting == 0 {
			r.based, r.base = true, cleanURL(href)
		}
	case "title":
		if !r.titled && r.nesting == 0 {
			r.titled = true
			var text strings.Builder
			for c := n.FirstChild; c != nil; c = c.NextSibling {
				text.WriteString(c.Data)
			}
			r.title = strings.Join(words(text.String()), " ")
		}
	case "link":
		rel, _ := attr(n, "", "rel")
		if rel := links.ParseRel([]byte(rel)); rel != 0 {
			r.addAttr(linkKind(rel), n, "href")
			r.addSet(links.Preload, n, "imagesrcset")
		}
	case "meta":
		if equiv, _ := attr(n, "", "http-equiv"); strings.ToLower(equiv) == "refresh" {
			content, _ := attr(n, "", "content")
			if _, url, ok := links.ParseRefresh([]byte(content)); ok {
				r.add(links.Refresh, n, "content", string(url))
			}
		}
	case "frame", "iframe":
		r.addAttr(links.Frame, n, "src")
		r.addAttr(links.Reference, n, "longdesc")
		if doc, ok := attr(n, "", "srcdoc"); ok && n.Data == "iframe" && r.nesting < links.DefaultMaxNesting {
			root, err := html.ParseWithOptions(strings.NewReader(doc), html.ParseOptionEnableScripting(false))
			if err == nil {
				r.nesting++
				r.read(root)
				r.nesting--
			}
		}
	case "script":
		r.addAttr(links.Script, n, "src")
	case "style":
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			links.CSS([]byte(c.Data), func(l links.Link) bool {
				if l.Kind == links.Stylesheet {
					r.add(l.Kind, n, "", string(l.URL))
				}
				return true
			})
		}
	case "img":
		r.addAttr(links.Image, n, "src")
		r.addSet(links.Image, n, "srcset")
		r.addAttr(links.Reference, n, "longdesc")
	case "input":
		if kind, _ := attr(n, "", "type"); strings.ToLower(kind) == "image" {
			r.addAttr(links.Image, n, "src")
		}
	case "source":
		r.addAttr(links.Media, n, "src")
		r.addSet(links.Image, n, "srcset")
	case "audio", "track", "bgsound":
		r.addAttr(links.Media, n, "src")
	case "video":
		r.addAttr(links.Media, n, "src")
		r.addAttr(links.Image, n, "poster")
	case "embed":
		r.addAttr(links.Object, n, "src")
	case "object":
		r.addAttr(links.Object, n, "data")
	case "body", "table", "thead", "tbody", "tfoot", "tr", "td", "th":
		r.addAttr(links.Image, n, "background")
	case "blockquote", "q", "ins", "del":
		r.addAttr(links.Reference, n, "cite")
	case "html":
		r.addAttr(links.Manifest, n, "manifest")
	}
}

func (r *treeReader) foreign(n *html.Node) {
	href, ok := attr(n, "", "href")
	key := "href"
	if !ok {
		if href, ok = attr(n, "xlink", "href"); !ok {
			return
		}
		key = "xlink:href"
	}
	switch strings.ToLower(n.Data) {
	case "a":
		r.add(links.Anchor, n, key, href)
	case "image", "use", "feimage":
		r.add(links.Image, n, key, href)
	case "script":
		r.add(links.Script, n, key, href)
	}
}

// addSet adds the URLs of a srcset by the rule "a candidate is a word; if it has no comma at its end, its descriptors
// reach to the next comma outside of parentheses".
func (r *treeReader) addSet(kind links.Kind, n *html.Node, key string) {
	set, _ := attr(n, "", key)
	for {
		set = strings.TrimLeft(set, ",\t\n\f\r ")
		if set == "" {
			return
		}
		end := strings.IndexAny(set, "\t\n\f\r ")
		if end < 0 {
			end = len(set)
		}
		url := set[:end]
		set = set[end:]
		if bare := strings.TrimRight(url, ","); bare != url {
			r.add(kind, n, key, bare)
			continue
		}
		r.add(kind, n, key, url)
		parens := false
		end = strings.IndexFunc(set, func(c rune) bool {
			parens = c == '(' || parens && c != ')'
			return c == ',' && !parens
		})
		if end < 0 {
			return
		}
		set = set[end:]
	}
}

// linkKind is the kind of a link element by its strongest relation.
func linkKind(rel links.Rel) links.Kind {
	for _, k := range []struct {
		rel  links.Rel
		kind links.Kind
	}{
		{links.RelStylesheet, links.Stylesheet},
		{links.RelCanonical, links.Canonical},
		{links.RelNext, links.Next},
		{links.RelPrev, links.Prev},
		{links.RelAlternate | links.RelAMP, links.Alternate},
		{links.RelIcon, links.Icon},
		{links.RelManifest, links.Manifest},
		{links.RelPreload | links.RelPrefetch | links.RelPrerender, links.Preload},
		{links.RelPreconnect | links.RelDNSPrefetch, links.Connect},
	} {
		if rel&k.rel != 0 {
			return k.kind
		}
	}
	return links.Reference
}

// missing returns what is in want and not in got.
func missing(want, got []string) (lost []string) {
	for _, s := range want {
		if !slices.Contains(got, s) && !slices.Contains(lost, s) {
			lost = append(lost, s)
		}
	}
	return lost
}

package links_test

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/orbweaver/orbweaver/crawler/links"
)

// shaped names the elements because of which a tree may have fewer elements than its document has tags. A select
// has no elements but options; a frameset only frames, which stand nowhere else; parts of tables are dropped
// outside of tables and table elements close each other; of several html and body elements only the first counts;
// a second form and what a template's rules do not allow are dropped; what is open in SVG and MathML decides what
// an end tag ends.
var shaped = regexp.MustCompile(`(?i)</?(select|option|optgroup|frameset|frame|html|head|body|table|caption|colgroup|col|thead|tbody|tfoot|tr|td|th|form|template)[\s/>]`)

// compare checks a document against its tree: all that the tree has must be found, and where the tree drops
// nothing, nothing else.
func compare(t *testing.T, body []byte) {
	t.Helper()
	want, err := readTree(body)
	if err != nil {
		return
	}
	got := extract(body, everything)
	compareKinds(t, body, got)
	if shaped.Match(body) {
		if foreign.Match(body) {
			return
		}
		if lost := missing(want.links, got.links); lost != nil {
			t.Errorf("%q:\nnot found: %q", body, lost)
		}
		return
	}
	slices.Sort(want.links)
	slices.Sort(got.links)
	if !slices.Equal(slices.Compact(want.links), slices.Compact(got.links)) {
		t.Errorf("%q:\ntree    %q\nextract %q", body, want.links, got.links)
	}
	if want.base != got.base {
		t.Errorf("%q:\nbase: tree %q, extract %q", body, want.base, got.base)
	}
	if want.title != got.title && len(want.title) <= links.DefaultMaxTitle {
		t.Errorf("%q:\ntitle: tree %q, extract %q", body, want.title, got.title)
	}
}

// compareKinds checks that what is found does not depend on what else is looked for.
func compareKinds(t *testing.T, body []byte, some findings) {
	t.Helper()
	var found []string
	links.Extract(body, links.Options{Kinds: links.All, MaxLinks: -1}, func(l links.Link) bool {
		if everything.Kinds&l.Kind != 0 {
			found = append(found, line(l.Kind, l.Tag, l.Attr, string(l.URL)))
		}
		return true
	})
	if len(some.links) < links.DefaultMaxLinks && !slices.Equal(found, some.links) {
		t.Errorf("%q:\namong all kinds %q\nalone           %q", body, found, some.links)
	}
}

// foreign finds the documents of which not even the elements that the tree has need to be found.
var foreign = regexp.MustCompile(`(?i)<(template)[\s/>]`)

func gunzip(t testing.TB, name string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// html5libDocuments returns the documents of html5lib's tests of tree construction.
func html5libDocuments(t testing.TB) (docs []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/html5lib/*.dat.gz")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, test := range strings.Split(gunzip(t, file), "#data\n")[1:] {
			doc, _, _ := strings.Cut(test, "\n#errors")
			docs = append(docs, doc)
		}
	}
	if len(docs) < 1000 {
		t.Fatalf("only %d documents", len(docs))
	}
	return docs
}

var tagName = regexp.MustCompile(`<([a-zA-Z]+)`)

// TestTreeHTML5Lib puts links into the tags of html5lib's documents and compares what is found in them with the tree.
func TestTreeHTML5Lib(t *testing.T) {
	for _, doc := range html5libDocuments(t) {
		compare(t, []byte(doc))
		compare(t, []byte(tagName.ReplaceAllString(doc, `<$1 href=h src=s rel=next xlink:href=x cite='a&amp;b'`)))
		compare(t, []byte(tagName.ReplaceAllString(doc, `<a href=$1><$1`)))
	}
}

// FuzzExtractVsTree compares Extract with the tree that golang.org/x/net/html builds.
func FuzzExtractVsTree(f *testing.F) {
	for i, doc := range html5libDocuments(f) {
		if i%8 == 0 {
			f.Add([]byte(tagName.ReplaceAllString(doc, `<a href=$1><$1`)))
		}
	}
	f.Add([]byte(`<base href=b><a href="&amp;&copy=1&#x80;">x</a><iframe srcdoc="&lt;a href=1>"></iframe><title>T &amp; t`))
	f.Add([]byte(`<script><!-- <script> --></script><img srcset="a 1x, b (,) 2x"><link rel="next prev" href=n><meta http-equiv=refresh content="1;url='x'">`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if misread.Match(body) {
			return
		}
		compare(t, body)
	})
}

// misread finds the documents in whose scripts golang.org/x/net/html may take a comment to have ended: at a "<" that
// begins no tag (script data escaped less-than sign state).
var misread = regexp.MustCompile(`(?is)<script.*<!--.*<[^a-z/]`)

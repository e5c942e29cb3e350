package main

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/orbweaver/orbweaver/crawler"
)

// testSections has a section of every shape that decodeTree knows.
type testSections struct {
	Shelf []testBook         `yaml:"shelf"`
	Owner *testOwner         `yaml:"owner"`
	Words map[string][]count `yaml:"words"`
}

type testBook struct {
	Title   string    `yaml:"title"`
	Pages   int8      `yaml:"pages"`
	Weight  float64   `yaml:"weight"`
	Lent    bool      `yaml:"lent"`
	Every   duration  `yaml:"every"`
	Pattern []pattern `yaml:"pattern"`
}

func (b *testBook) Validate() error {
	if b.Title == "" {
		return errors.New("a book has a title")
	}
	return nil
}

type testOwner struct {
	Name string     `yaml:"name"`
	Next *testOwner `yaml:"next"`
}

// readFile reads sections from the text of a configuration file.
func readFile(text string, v any) (keptSettings, error) {
	l, err := parseConfig([]byte(text), "c.yaml", nil, sectionNames(v))
	if err != nil {
		return nil, err
	}
	return readSections(layers{l}, v)
}

func TestSections(t *testing.T) {
	const text = `
shelf:
  - {title: A, pages: 100, weight: 0.5, lent: true, every: 90s, pattern: [a, 'b+']}
  - title: B   # a comment
    pattern: c
owner: &me
  name: Ann
  next: {name: Bob, next: }
words: {x: [1, 2], y: 3, z: []}
`
	var got testSections
	kept, err := readFile(text, &got)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Shelf) != 2 || got.Shelf[0].Pages != 100 || got.Shelf[0].Weight != 0.5 || !got.Shelf[0].Lent || got.Shelf[0].Every.String() != "1m30s" ||
		len(got.Shelf[0].Pattern) != 2 || got.Shelf[1].Pattern[0].String() != "c" {
		t.Errorf("shelf %+v", got.Shelf)
	}
	if want := (&testOwner{"Ann", &testOwner{"Bob", nil}}); !reflect.DeepEqual(got.Owner, want) {
		t.Errorf("owner %+v", got.Owner)
	}
	if want := map[string][]count{"x": {1, 2}, "y": {3}, "z": {}}; !reflect.DeepEqual(got.Words, want) {
		t.Errorf("words %v", got.Words)
	}

	// What is kept means the same again.
	var again testSections
	keptAgain, err := readSections(layers{keptLayer(kept)}, &again)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again, got) || !reflect.DeepEqual(keptAgain, kept) {
		t.Errorf("read again:\n%+v\nwant\n%+v", again, got)
	}
}

func keptLayer(kept keptSettings) layer {
	l := layer{}
	for name, values := range kept {
		l[name] = given{values: values, origin: "kept in the job"}
	}
	return l
}

func TestSectionOfTheFileReplacesTheKeptOne(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"", "kept"},
		{"shelf: [{title: new}]", "new"},
		{"shelf: []", ""},
		{"shelf:", ""},
	} {
		file, err := parseConfig([]byte(tt.file), "c.yaml", nil, []string{"shelf", "owner", "words"})
		if err != nil {
			t.Fatal(err)
		}
		var s testSections
		if _, err := readSections(layers{file, keptLayer(keptSettings{"shelf": {"- title: kept\n"}})}, &s); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, b := range s.Shelf {
			got += b.Title
		}
		if got != tt.want {
			t.Errorf("file %q: shelf of %q, want %q", tt.file, got, tt.want)
		}
	}
}

func TestAliasesMeanTheSameWhenKept(t *testing.T) {
	var got testSections
	kept, err := readFile("owner: &a {name: Ann}\nshelf: [{title: &t Tales}, {title: *t}]\nwords: {x: &l [1], y: *l}\n", &got)
	if err != nil {
		t.Fatal(err)
	}
	if got.Shelf[1].Title != "Tales" || got.Words["y"][0] != 1 || strings.ContainsAny(kept["shelf"][0]+kept["words"][0], "*&") {
		t.Errorf("got %+v, kept %q", got, kept)
	}
}

func TestWrongSection(t *testing.T) {
	deep := strings.Repeat("{name: a, next: ", 100) + "{}" + strings.Repeat("}", 100)
	bomb := "words:\n  a: &a [1,1,1,1,1,1,1,1,1,1]\n"
	for c := 'b'; c <= 'h'; c++ {
		p := string(c - 1)
		bomb += "  " + string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+p+",", 9) + "*" + p + "]\n"
	}
	for _, tt := range []struct{ text, want string }{
		{"shelf:\n- titel: A", `c.yaml:2: shelf: "titel" is not known here; did you mean title?`},
		{"shelf:\n- title: A\n- colour: red", `c.yaml:3: shelf: "colour" is not known here; known are title, pages`},
		{"shelf:\n- title: A\n  title: B", "c.yaml:3: shelf: title is set twice"},
		{"shelf:\n- title: A\n  pages: 128", `c.yaml:3: shelf: pages: "128" is no whole number of a size that fits`},
		{"shelf:\n- title: A\n  lent: perhaps", `c.yaml:3: shelf: lent: "perhaps" is neither true nor false`},
		{"shelf:\n- title: A\n  weight: heavy", `c.yaml:3: shelf: weight: "heavy" is no number`},
		{"shelf:\n- title: A\n  every: now", `c.yaml:3: shelf: every: "now" is no time: write 500ms, 90s or 1h30m`},
		{"shelf:\n- title: A\n  pattern:\n  - a\n  - '['", `c.yaml:5: shelf: pattern: "[" is no regular expression: missing closing ]`},
		{"shelf:\n- title: [A]", "c.yaml:2: shelf: title: takes one value"},
		{"shelf:\n- title: A\n  every: {}", "c.yaml:3: shelf: every: takes one value"},
		{"shelf:\n- pages: 3", "c.yaml:2: shelf: a book has a title"},
		{"shelf:\n- title: A\n-", "c.yaml:3: shelf: an element of the list is empty"},
		{"owner: Ann", "c.yaml:1: owner: takes 'name: value' pairs"},
		{"owner:\n  ? [a]\n  : b", "c.yaml:2: owner: takes 'name: value' pairs"},
		{"owner:\n  next:\n    next: {nam: x}", `c.yaml:3: owner: next: next: "nam" is not known here; did you mean name?`},
		{"words:\n  x: [1]\n  y: [-1]", `c.yaml:3: words: y: "-1" is no whole number from 0 up`},
		{"shlef: []", `c.yaml:1: "shlef" is no setting; did you mean shelf?`},
		{"shelf: []\nshelf: []", "c.yaml:2: shelf is set twice"},
		{"owner: " + deep, "c.yaml:1: owner: is nested more than 64 deep"},
		{"owner: &o {next: *o}", "c.yaml:1: owner: is nested more than 64 deep"},
		{bomb, "words: has more than 1048576 values"},
	} {
		var s testSections
		_, err := readFile(tt.text, &s)
		if err == nil || !strings.HasPrefix(err.Error(), "c.yaml:") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60q: error %v, want %s", tt.text, err, tt.want)
		}
	}
}

func TestWrongKeptSection(t *testing.T) {
	var s testSections
	_, err := readSections(layers{keptLayer(keptSettings{"shelf": {"- title: A\n- titel: B\n"}})}, &s)
	if want := `shelf kept in the job: line 2: "titel" is not known here; did you mean title?`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if _, err := readSections(layers{keptLayer(keptSettings{"shelf": {"["}})}, &s); err == nil {
		t.Error("what is no YAML is taken")
	}
}

// TestSectionsAreDescribed proves that each section has a name of its own that
// is no flag's.
func TestSectionsAreDescribed(t *testing.T) {
	_, flags, err := parse(t, nil, "http://a/")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sectionNames(&sections{}) {
		if name == "" || knownKey(name, flags, nil) == nil {
			t.Errorf("section %q: has no name, or that of a flag", name)
		}
	}
}

func FuzzSections(f *testing.F) {
	for _, text := range []string{
		"shelf: [{title: A, pages: 1, weight: 1e3, lent: yes, every: 1s, pattern: [a]}]",
		"owner: &a {name: x, next: {name: *b}}\nwords: {x: [1, 2], <<: *a}",
		"words: {? |\n  a\n : >\n  b}", "shelf: !!seq [!t {title: !!str 1}]", "shelf:\n- title: \"\\x00\"\n", "owner: {name: '', next: ~}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var first, again testSections
		kept, err := readFile(string(text), &first)
		if err != nil {
			return
		}
		if _, err := readSections(layers{keptLayer(kept)}, &again); err != nil {
			t.Fatalf("kept as %q, which is refused: %v", kept, err)
		}
		a, errA := yaml.Marshal(first)
		b, errB := yaml.Marshal(again)
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Fatalf("kept as %q\nread %s\nand then %s", kept, a, b)
		}
	})
}

// TestReadmesSettings proves that what README.md shows as configuration files is
// taken.
func TestReadmesSettings(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "\n```yaml\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("README.md shows no configuration file")
	}
	for _, block := range blocks {
		block, _, _ := strings.Cut(block, "\n```")
		c, _, err := parse(t, nil, "--config", write(t, "c.yaml", block), "--job", t.TempDir()+"/none", "http://a/")
		if err != nil {
			t.Errorf("%s\nis refused: %v", block, err)
			continue
		}
		var cfg crawler.Config
		if err := c.sections.apply(&cfg, []string{"SHOP_PASSWORD=x", "API_TOKEN=x"}); err != nil {
			t.Errorf("%s\nis refused: %v", block, err)
		}
		for i := range cfg.Sites {
			if err := cfg.Sites[i].Validate(); err != nil {
				t.Error(err)
			}
		}
	}
}

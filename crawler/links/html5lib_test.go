package links

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readGzip returns the content of a compressed file.
func readGzip(t testing.TB, name string) []byte {
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
	return data
}

// tag is a start or end tag in html5lib's tests.
type tag struct {
	Name  string
	End   bool
	Close bool
	Attrs map[string]string
}

// A tokenizerTest is one of html5lib's. See the README of its folder tokenizer.
type tokenizerTest struct {
	Description   string
	InitialStates []string
	LastStartTag  string
	Input         string
	Output        [][]any
	DoubleEscaped bool
}

func TestHTML5LibTokenizer(t *testing.T) {
	files, err := filepath.Glob("testdata/html5lib/*.test.gz")
	if err != nil || len(files) == 0 {
		t.Fatal("no tests", err)
	}
	ran := 0
	for _, file := range files {
		var suite struct{ Tests []tokenizerTest }
		if err := json.Unmarshal(readGzip(t, file), &suite); err != nil {
			t.Fatal(file, err)
		}
		for _, test := range suite.Tests {
			if strings.Contains(test.Input, "\\uD800") || strings.Contains(test.Input, "\\uDFFF") {
				continue // not expressible in UTF-8
			}
			states := test.InitialStates
			if states == nil {
				states = []string{"Data state"}
			}
			for _, state := range states {
				if state == "Script data state" && test.LastStartTag != "" && test.LastStartTag != "script" {
					continue // no document leads there
				}
				ran++
				checkTokens(t, filepath.Base(file), state, test)
			}
		}
	}
	if ran < 6000 {
		t.Errorf("only %d tests", ran)
	}
}

func checkTokens(t *testing.T, file, state string, test tokenizerTest) {
	t.Helper()
	input, wantText, wantTags := test.Input, "", []tag(nil)
	if test.DoubleEscaped {
		input = unescape(input)
	}
	for _, token := range test.Output {
		switch token[0] {
		case "Character":
			text := token[1].(string)
			if test.DoubleEscaped {
				text = unescape(text)
			}
			wantText += text
		case "StartTag":
			want := tag{Name: token[1].(string), Attrs: map[string]string{}, Close: len(token) > 3}
			for k, v := range token[2].(map[string]any) {
				want.Attrs[k] = v.(string)
			}
			wantTags = append(wantTags, want)
		case "EndTag":
			wantTags = append(wantTags, tag{Name: token[1].(string), End: true})
		}
	}
	input = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(input)
	gotText, gotTags := tokens(input, state, test.LastStartTag)
	if diff := cmp.Diff(wantTags, gotTags); diff != "" {
		t.Errorf("%s: %s (%s) %q: tags: -want +got\n%s", file, test.Description, state, input, diff)
	}
	// NULs in text are left to the tree's construction, which drops some and replaces others; they are replaced here.
	if wantText = strings.ReplaceAll(wantText, "\x00", "\ufffd"); gotText != wantText {
		t.Errorf("%s: %s (%s) %q: text: want %q, got %q", file, test.Description, state, input, wantText, gotText)
	}
}

// unescape resolves the \uXXXX of a text.
func unescape(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, `\u`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n, _ := strconv.ParseUint(after[:4], 16, 32)
		b.WriteRune(rune(n))
		s = after[4:]
	}
}

// tokens returns the text and the tags of a document that begins in the given state.
func tokens(input, state, lastStartTag string) (text string, tags []tag) {
	z := tokenizer{in: []byte(input)}
	switch state {
	case "PLAINTEXT state":
		return string(appendWithoutNUL(nil, z.in)), nil
	case "RCDATA state":
		text = string(appendDecoded(nil, z.rawText(orTag(lastStartTag, "title")), false))
	case "RAWTEXT state":
		text = string(appendWithoutNUL(nil, z.rawText(orTag(lastStartTag, "style"))))
	case "Script data state":
		text = string(appendWithoutNUL(nil, z.rawText("script")))
	case "CDATA section state":
		z.cdata = true
		const open = "<![CDATA["
		z.in = append([]byte(open), input...)
		kind := z.next()
		inside := strings.TrimPrefix(string(z.in[:z.pos]), open)
		if kind == markup {
			inside = strings.TrimSuffix(inside, "]]>")
		}
		text = string(appendWithoutNUL(nil, []byte(inside)))
	}
	for {
		kind := z.next()
		text += string(appendDecoded(nil, z.at(z.text), false))
		switch kind {
		case endOfFile:
			return text, tags
		case startTag, endTag:
			got := tag{Name: testName(z.at(z.name)), End: kind == endTag}
			attrs := map[string]string{}
			for z.nextAttribute() {
				key := testName(z.at(z.key))
				if _, twice := attrs[key]; !twice {
					attrs[key] = string(appendDecoded(nil, z.at(z.value), true))
				}
			}
			if z.unfinished {
				continue
			}
			if kind == startTag {
				got.Attrs, got.Close = attrs, z.selfClosing
			}
			tags = append(tags, got)
		}
	}
}

func orTag(name, standard string) string {
	if name == "" {
		return standard
	}
	return name
}

// testName is a tag's or an attribute's name as the tests write it.
func testName(name []byte) string {
	b := bytes.ReplaceAll(name, []byte{0}, []byte("\ufffd"))
	for i, c := range b {
		b[i] = lower[c]
	}
	return string(b)
}

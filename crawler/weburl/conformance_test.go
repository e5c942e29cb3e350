package weburl

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// readCases decodes the objects of a JSON array that has comments between them.
func readCases[T any](t *testing.T, file string) (cases []T) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	for _, raw := range list {
		if raw[0] != '{' {
			continue
		}
		var c T
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

// parseExact does what the URL Standard says, without normalizing. The base may be anything or "".
func parseExact(base, ref string) (string, Reason) {
	var page URL
	if base != "" {
		withoutFragment, _, _ := strings.Cut(base, "#")
		buf, o, reason := assemble(nil, URL{}, withoutFragment, 1<<20, true)
		if reason == "" {
			page = URL{string(buf), o}
		}
	}
	buf, _, reason := assemble(nil, page, ref, 1<<20, true)
	if reason != "" {
		return "", reason
	}
	return string(buf), ""
}

func TestURLStandard(t *testing.T) {
	type urlCase struct {
		Input, Href, Protocol string
		Base                  *string
		Failure               bool
	}
	parsed, failures := 0, 0
	for _, c := range readCases[urlCase](t, "testdata/urltestdata.json") {
		base := ""
		if c.Base != nil {
			base = *c.Base
		}
		if base == "" && strings.HasPrefix(c.Input, "ws") && strings.HasPrefix(c.Protocol, "ws") { // differs in nothing but the name
			c.Input, c.Href, c.Protocol = "http"+c.Input[2:], "http"+c.Href[2:], "http"+c.Protocol[2:]
		}
		switch got, reason := parseExact(base, c.Input); {
		case c.Failure:
			failures++
			if reason == "" {
				t.Errorf("%q on %q: got %s, want failure", c.Input, base, got)
			}
		case c.Protocol == "http:" || c.Protocol == "https:":
			parsed++
			if got != c.Href {
				t.Errorf("%q on %q: got %s (%s), want %s", c.Input, base, got, reason, c.Href)
			}
		case reason == "":
			t.Errorf("%q on %q: got %s, want %s, which is refused", c.Input, base, got, c.Href)
		}
	}
	t.Logf("%d URLs with http and https, or ws and wss, and %d failures", parsed, failures)
	if parsed < 266 || failures < 267 {
		t.Error("the data is not complete")
	}
}

func TestToASCII(t *testing.T) {
	type asciiCase struct {
		Input  string
		Output *string
	}
	cases := readCases[asciiCase](t, "testdata/toascii.json")
	for _, c := range cases {
		want := ""
		if c.Output != nil {
			want = "https://" + *c.Output + "/x"
		}
		if got, _ := parseExact("", "https://"+c.Input+"/x"); got != want {
			t.Errorf("%q: got %q, want %q", c.Input, got, want)
		}
	}
	t.Logf("%d hosts", len(cases))
	if len(cases) < 87 {
		t.Error("the data is not complete")
	}
}

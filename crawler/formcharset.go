package crawler

import (
	"strings"

	"github.com/PuerkitoBio/goquery"

	"github.com/orbweaver/orbweaver/httpclient/charset"
)

// acceptedCharset is the encoding in which the server of a form with an accept-charset
// reads what the form sends: the first that it names, UTF-8 if it names none (HTML,
// "picking an encoding for the form").
func acceptedCharset(accept string) string {
	for _, label := range strings.Fields(accept) {
		if name, ok := charset.Lookup(label); ok {
			return name
		}
	}
	return "utf-8"
}

// formCharset is the encoding in which a form of a page sends its fields.
func formCharset(form *goquery.Selection, page string) string {
	if accept, ok := form.Attr("accept-charset"); ok {
		page = acceptedCharset(accept)
	}
	return outputCharset(page)
}

// outputCharset is the encoding in which a document sends something: its own, UTF-8 if
// that is one which is only read (WHATWG Encoding, "get an output encoding").
func outputCharset(name string) string {
	if name == "replacement" || strings.HasPrefix(name, "utf-16") {
		return "utf-8"
	}
	return name
}

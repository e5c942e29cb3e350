// Package extract fills Go structs from HTML by CSS selectors in struct tags, or makes JSON of it by a schema.
//
//	type Product struct {
//		Name    string     `css:"h1" required:"true"`
//		Price   float64    `css:".price" attr:"data-amount"`
//		Stock   int        `css:".stock" re:"(\\d+) left" default:"0"`
//		Image   *url.URL   `css:"img.main" attr:"src"`
//		Related []string   `css:".related a" attr:"href,absolute"`
//		Updated time.Time  `css:"time" attr:"datetime" layout:"2006-01-02"`
//		Reviews []struct {
//			Author string `css:".author"`
//			Text   string `css:"p" as:"html"`
//		} `css:".review"`
//	}
//
// [Unmarshal] sets every field that has one of the tags below, and leaves fields without them alone. A value that
// the page does not have sets the field to its zero value, so that the result depends on the page only. A value
// that is there but does not fit its field is reported in an [*Error], together with all others, and the rest of
// the struct is filled nevertheless.
//
// # Tags
//
//	css:"SELECTOR"   the elements below the struct's own element (its scope) that the field is about;
//	                 without it, the scope itself. A simple selector with > in front selects among the
//	                 children of the scope
//	meta:"NAME"      short for the content of the meta elements with that property or name, such as og:title
//	itemprop:"NAME"  short for a microdata property: the elements with that itemprop, and the attribute in
//	                 which such an element has its value
//	itemtype:"TYPE"  the microdata items of a type, given by its name, Product, or in full; their fields'
//	                 itemprop are the items' own, not those of items within, and those by itemref
//	jsonld:"TYPE"    the objects of that type in the page's JSON-LD, wherever they are in it, decoded into the
//	                 field by encoding/json
//	attr:"NAME"      the value is that attribute; attr:"NAME,absolute" resolves it against the base URL
//	as:"KIND"        otherwise the value is the element's text: its words with single spaces between, without
//	                 scripts and styles. KIND changes that to "raw", the text as it stands; "own", without the
//	                 text of elements within; "html", the markup within; "outerhtml", with the element itself;
//	                 or "json", which decodes the raw text, or the attribute, into the field by encoding/json
//	re:"PATTERN"     only the part of the value that the first group matches, or the whole pattern if it has no
//	                 group (RE2 syntax)
//	default:"VALUE"  the value if there is none
//	required:"true"  having no value is an error, [ErrMissing]
//	layout:"LAYOUT"  how a time is written, as in package time, several separated by "|"; without it in RFC 3339
//	                 or one of its shorter forms
//
// A value that is empty, white space aside, counts as none. If the selector finds several elements, a field that
// holds one value takes it from the first that has one; a slice takes one from each that has one, and with re
// every match in each.
//
// # Types
//
// Fields may be strings, byte slices, booleans, integers, floats, [time.Time], [time.Duration], [url.URL]
// (resolved against the base URL), [json.RawMessage], types with an UnmarshalText method, structs, whose tags are
// relative to the element that their field selects, pointers to all of these, nil when there is no value, and
// slices of all of these. An embedded struct without tags counts as if its fields were the outer struct's.
// Floats are finite: "NaN" and "inf" are no numbers.
//
// A boolean tells whether there is a value: with attr, whether an element has the attribute, unless it says
// "false", "no", "off" or "0"; with re, whether the pattern matches; else whether the selector finds an element,
// or with as:"text" whether its text says "true", "yes", "on" or "1".
//
// # Schemas
//
// A [Schema] says the same as data, for programs that learn at run time what to look for: an [Extractor] made of it
// finds the items of a page and writes them as JSON.
//
// What the tags say is compiled at the first use of a type and kept for as long as the program runs, as
// encoding/json does; the types of a program are a bounded number.
package extract

package crawler

import (
	"strings"

	"github.com/PuerkitoBio/goquery"
)

// controls are the fields of a form, in their order: those within it that belong to
// no other, and those elsewhere that name it.
func controls(doc *goquery.Document, form *goquery.Selection) *goquery.Selection {
	id, named := form.Attr("id")
	return doc.Find("input, select, textarea, button").FilterFunction(func(_ int, s *goquery.Selection) bool {
		if owner, ok := s.Attr("form"); ok {
			return named && id != "" && owner == id
		}
		owner := s.Closest("form")
		return owner.Length() > 0 && owner.Get(0) == form.Get(0)
	})
}

// isCharset says whether a field is one in which the form tells its encoding.
func isCharset(s *goquery.Selection, name string) bool {
	return strings.EqualFold(name, "_charset_") && strings.EqualFold(s.AttrOr("type", ""), "hidden")
}

func isSubmit(s *goquery.Selection) bool {
	kind := strings.ToLower(s.AttrOr("type", ""))
	switch goquery.NodeName(s) {
	case "button":
		return kind != "button" && kind != "reset"
	case "input":
		return kind == "submit" || kind == "image"
	}
	return false
}

func disabled(s *goquery.Selection) bool {
	return s.Is("[disabled]") || s.Closest("fieldset[disabled]").Length() > 0
}

// given are the values that a field has as the page comes.
func given(s *goquery.Selection) []string {
	switch goquery.NodeName(s) {
	case "textarea":
		return []string{strings.TrimPrefix(s.Text(), "\n")}
	case "select":
		return chosenOptions(s)
	}
	switch strings.ToLower(s.AttrOr("type", "")) {
	case "checkbox", "radio":
		if !s.Is("[checked]") {
			return nil
		}
		return []string{s.AttrOr("value", "on")}
	case "file", "button", "reset":
		return nil
	}
	return []string{s.AttrOr("value", "")}
}

func chosenOptions(s *goquery.Selection) (values []string) {
	options := s.Find("option").Not("[disabled]")
	options.Filter("[selected]").Each(func(_ int, o *goquery.Selection) { values = append(values, optionValue(o)) })
	switch {
	case s.Is("[multiple]"):
		return values
	case len(values) > 0:
		return values[len(values)-1:]
	case options.Length() > 0:
		return []string{optionValue(options.First())}
	}
	return nil
}

func optionValue(o *goquery.Selection) string {
	return o.AttrOr("value", strings.Join(strings.Fields(o.Text()), " "))
}

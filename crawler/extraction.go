package crawler

import (
	"context"
	"errors"
	"fmt"

	"github.com/orbweaver/orbweaver/crawler/extract"
	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// Extraction says which items are on which pages, as data: what a handler with
// Page.Unmarshal and Page.Emit would do.
type Extraction struct {
	// Route says which pages have the items; its Handler is not used. Without a
	// Type they are those of HTML and XHTML.
	Route Route
	// Schema says what the items are.
	Schema extract.Schema
}

// ExtractItems returns a handler that emits the items that the extractions find.
// A page may match several of them, and every one that it matches adds its items.
// What is missing in a page or does not fit is reported as by Page.Report. An
// error says which of the list is wrong; it wraps an *extract.SchemaError unless
// it is about a route.
func ExtractItems(list ...Extraction) (Handler, error) {
	h := make(extraction, len(list))
	for i, e := range list {
		var err error
		if h[i].route, err = compileRoute(e.Route); err != nil {
			return nil, err
		}
		if h[i].extractor, err = extract.NewExtractor(e.Schema); err != nil {
			return nil, fmt.Errorf("crawler: extraction %d: %w", i+1, err)
		}
	}
	return h, nil
}

type extraction []struct {
	route     route
	extractor *extract.Extractor
}

// Handle emits the items of the page.
func (h extraction) Handle(_ context.Context, p *Page) error {
	u, err := weburl.Parse(p.URL)
	if err != nil {
		return err
	}
	for i := range h {
		r := &h[i].route
		if _, ok := r.match(u, p); !ok || r.Type == "" && !isHTML(p.ContentType) {
			continue
		}
		doc, err := p.Document()
		if err != nil {
			return err
		}
		items, err := h[i].extractor.Items(doc.Selection, doc.Url)
		for _, item := range items {
			if e := p.Emit(item); e != nil {
				err = errors.Join(err, e)
				break
			}
		}
		if err != nil {
			p.Report(err)
		}
	}
	return nil
}

// WantsStatus says whether an extraction is for that status.
func (h extraction) WantsStatus(status int) bool {
	for i := range h {
		if h[i].route.wantsStatus(status) {
			return true
		}
	}
	return false
}

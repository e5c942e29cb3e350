package main

import (
	"errors"
	"fmt"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/crawler/extract"
)

// extraction is an element of the section "extract": items, and the pages that
// have them.
type extraction struct {
	Host        string `yaml:"host"`
	Path        string `yaml:"path"`
	ContentType string `yaml:"content-type"`
	Status      int    `yaml:"status"`

	Item   string                   `yaml:"item"`
	Each   string                   `yaml:"each"`
	Fields map[string]extract.Field `yaml:"fields"`
}

// check finds what is wrong before the crawl begins.
func (e *extraction) Validate() error {
	_, err := crawler.ExtractItems(e.crawlers())
	var schema *extract.SchemaError
	switch {
	case !errors.As(err, &schema):
		return err
	case schema.Field == "":
		return schema.Err
	}
	return fmt.Errorf("field %s: %w", schema.Field, schema.Err)
}

// crawlers is e as the crawler takes it.
func (e *extraction) crawlers() crawler.Extraction {
	return crawler.Extraction{
		Route:  crawler.Route{Host: e.Host, Path: e.Path, Type: e.ContentType, Status: e.Status},
		Schema: extract.Schema{Name: e.Item, Each: e.Each, Fields: e.Fields},
	}
}

// extractor is the handler that the section makes; nil if it is empty.
func extractor(section []extraction) (crawler.Handler, error) {
	if len(section) == 0 {
		return nil, nil
	}
	list := make([]crawler.Extraction, len(section))
	for i := range section {
		list[i] = section[i].crawlers()
	}
	return crawler.ExtractItems(list...)
}

package export_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/export"
	"github.com/orbweaver/orbweaver/storage/memstore"
)

// shop is a store with two pages.
func shop(ctx context.Context) storage.Store {
	store := memstore.New()
	err := store.Append(ctx, []*storage.Record{
		{URL: "https://shop.example/", Status: 200, Title: "Everything, cheap"},
		{URL: "https://shop.example/spider", Status: 200, Title: "Spider", Label: "product",
			Items: []json.RawMessage{[]byte(`{"name":"Spider","legs":8}`)}},
		{URL: "https://shop.example/old", Status: 404},
	})
	if err != nil {
		panic(err)
	}
	return store
}

func ExampleRecords() {
	ctx := context.Background()
	opts := export.Options{
		Format: export.JSONL,
		Fields: []string{"url", "status", "title"},
		Where:  func(r *storage.Record) bool { return r.Status == 200 },
	}
	n, err := export.Records(ctx, os.Stdout, shop(ctx), opts)
	fmt.Println(n, err)
	// Output:
	// {"url":"https://shop.example/","status":200,"title":"Everything, cheap"}
	// {"url":"https://shop.example/spider","status":200,"title":"Spider"}
	// 2 <nil>
}

func ExampleItems() {
	ctx := context.Background()
	if _, err := export.Items(ctx, os.Stdout, shop(ctx), export.Options{}); err != nil {
		fmt.Println(err)
	}
	if _, err := export.Items(ctx, os.Stdout, shop(ctx), export.Options{Wrap: true}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"name":"Spider","legs":8}
	// {"url":"https://shop.example/spider","label":"product","item":{"name":"Spider","legs":8}}
}

func ExampleParseFilter() {
	ctx := context.Background()
	store := memstore.New()
	if err := store.Append(ctx, []*storage.Record{
		{URL: "https://example.org/", Status: 200},
		{URL: "https://example.org/gone", Status: 410},
		{URL: "https://example.net/", Error: "no such host"},
	}); err != nil {
		fmt.Println(err)
	}
	filter, err := export.ParseFilter(`status >= 400 or error contains "host"`)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = export.Records(ctx, os.Stdout, store, export.Options{Format: export.URLs, Where: filter.Match})
	fmt.Println(err)

	_, err = export.ParseFilter("status >= many")
	fmt.Println(err)
	// Output:
	// https://example.org/gone
	// https://example.net/
	// <nil>
	// export: filter at offset 10: "many" is no whole number
}

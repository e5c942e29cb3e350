package storage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/memstore"
)

func Example() {
	ctx := context.Background()
	var store storage.Store = memstore.New()
	defer store.Close()

	err := store.Append(ctx, []*storage.Record{
		{URL: "https://example.org/", Status: 200, Body: []byte("<h1>Hello</h1>")},
		{URL: "https://example.org/spider", Status: 200, Items: []json.RawMessage{[]byte(`{"legs":8}`)}},
		{URL: "https://example.net/", Error: "no such host", ErrorClass: "dns"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for rec, err := range store.Records(ctx, 0) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d %s %d %q\n", rec.Seq, rec.URL, rec.Status, rec.Error)
	}
	for item, err := range store.Items(ctx, 0) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(item.URL, string(item.Data))
	}
	body, err := store.Body(ctx, 1)
	fmt.Println(string(body), err)
	_, err = store.Get(ctx, "https://example.org/nowhere")
	fmt.Println(errors.Is(err, storage.ErrNotFound))
	// Output:
	// 1 https://example.org/ 200 ""
	// 2 https://example.org/spider 200 ""
	// 3 https://example.net/ 0 "no such host"
	// https://example.org/spider {"legs":8}
	// <h1>Hello</h1> <nil>
	// true
}

func ExampleHistorian() {
	ctx := context.Background()
	var store storage.Store = memstore.New()
	for _, status := range []int{200, 503, 304} { // three visits
		rec := &storage.Record{URL: "https://example.org/", Status: status}
		if err := store.Append(ctx, []*storage.Record{rec}); err != nil {
			fmt.Println(err)
		}
	}
	newest, err := store.Get(ctx, "https://example.org/")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("newest:", newest.Status)
	if h, ok := store.(storage.Historian); ok {
		for rec, err := range h.History(ctx, "https://example.org/") {
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println(rec.Seq, rec.Status)
		}
	}
	// Output:
	// newest: 304
	// 3 304
	// 2 503
	// 1 200
}

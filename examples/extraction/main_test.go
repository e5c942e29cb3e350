package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/orbweaver/orbweaver/internal/exampletest"
)

func TestExtraction(t *testing.T) {
	site := exampletest.Site(t, map[string]string{
		"/":       `<a href="/item/1">one</a> <a href="/item/2">two</a> <a href="/item/3">three</a> <a href="/cart">cart</a>`,
		"/item/1": `<h1>Lamp</h1><p class="price">€ 19.90<p><img class="product" src="/lamp.jpg"><img src="/logo.png">`,
		"/item/2": `<h1> Chair </h1><p class="price">80`,
		"/item/3": `<p class="price">a product without a name is an error`,
		"/cart":   `<h1>Cart</h1><p class="price">99.90`,
	})
	got := strings.Split(strings.TrimSpace(exampletest.Run(t, t.TempDir(), exampletest.Build(t), "-delay", "0", site)), "\n")
	slices.Sort(got)
	want := []string{
		`{"name":"Chair","price":80,"images":null,"url":"` + site + `/item/2"}`,
		`{"name":"Lamp","price":19.9,"images":["/lamp.jpg"],"url":"` + site + `/item/1"}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/orbweaver/orbweaver/internal/exampletest"
)

func TestMux(t *testing.T) {
	news := exampletest.Site(t, map[string]string{
		"/":            `<title>News</title><a href="/2026/spring">spring</a> <a href="/about">about</a> <a href="/2026/gone">gone</a>`,
		"/2026/spring": `<title>Spring is here</title>`,
		"/about":       `<title>About us</title>`,
	})
	shop := exampletest.Site(t, map[string]string{
		"/":       `<title>Shop</title><a href="/item/7">lamp</a>`,
		"/item/7": `<title>Lamp</title>`,
	})
	got := strings.Split(strings.TrimSpace(exampletest.Run(t, t.TempDir(), exampletest.Build(t), "-delay", "1ms", news, shop)), "\n")
	slices.Sort(got)
	want := []string{
		`{"kind":"article","title":"Spring is here"}`,
		`{"kind":"broken link on ` + news + `/","title":"` + news + `/2026/gone"}`,
		`{"kind":"product","title":"Lamp"}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

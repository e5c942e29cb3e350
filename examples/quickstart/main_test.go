package main

import (
	"testing"

	"github.com/orbweaver/orbweaver/internal/exampletest"
)

func TestQuickstart(t *testing.T) {
	site := exampletest.Site(t, map[string]string{
		"/":  `<title>Front</title><a href="/a#top">a</a><a href="https://elsewhere.example/">out of scope</a>`,
		"/a": `<title>Article</title><a href="/">back</a>`,
	})
	got := exampletest.Run(t, t.TempDir(), exampletest.Build(t), site)
	want := site + "/ Front\n" + site + "/a Article\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

package crawler_test

import (
	"regexp"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

func TestExplain(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 1, Pages: 5})
	_, job := run(t, crawler.Config{Seeds: web.Seeds(), Exclude: []*regexp.Regexp{regexp.MustCompile("secret")}})
	for u, want := range map[string]string{
		web.Seeds()[0]:                        `(?s)belongs.*state +done.*status 200`,
		"http://elsewhere.example/":           `(?s)out of scope.*--scope.*not asked.*unknown`,
		"http://" + web.Host(0) + "/secret":   `(?s)excluded.*--exclude.*unknown`,
		"HTTP://" + web.Host(0) + "/new#frag": `(?s)url +http://` + regexp.QuoteMeta(web.Host(0)) + `/new\n.*belongs.*unknown`,
	} {
		e, err := job.Explain(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(want).MatchString(e.String()) {
			t.Errorf("%s: want %s in\n%s", u, want, e)
		}
	}
	if _, err := job.Explain(t.Context(), "no url"); err == nil {
		t.Error("explained what is no URL")
	}
}

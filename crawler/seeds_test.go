package crawler_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
)

func TestSeedProblems(t *testing.T) {
	other := serve(t, func(w http.ResponseWriter, r *http.Request) { html(w, "other host") })
	away := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, other+"/", http.StatusFound)
			return
		}
		http.NotFound(w, r)
	})
	gone := serve(t, func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
	closed, closed2 := httptest.NewServer(nil), httptest.NewServer(nil)
	closed.Close()
	closed2.Close()
	plain := serve(t, func(w http.ResponseWriter, r *http.Request) { html(w, "plain http only") })
	address := strings.TrimPrefix(plain, "http://")
	dead := strings.TrimPrefix(closed2.URL, "http://")

	s, job := run(t, crawler.Config{
		Seeds:   []string{away, gone, closed.URL, address, dead, "http://no-such-host.invalid/"},
		Retries: -1,
	})
	for _, want := range []string{
		`^seed ` + away + `/: redirects to ` + other + `/, out of scope: give that URL as the seed`,
		`^seed ` + gone + `/: the server answered 404$`,
		`^seed ` + closed.URL + `/: .*refused`,
		`^seed ` + dead + `: tried https first \(.*refused.*\), then http://` + dead + `/ \(.*refused`,
		`^seed http://no-such-host\.invalid/: .*no-such-host\.invalid`,
	} {
		re := regexp.MustCompile(want)
		if !slices.ContainsFunc(s.Problems, re.MatchString) {
			t.Errorf("no problem matches %s in\n%s", want, strings.Join(s.Problems, "\n"))
		}
	}
	stored := results(t, job.Store())
	if rec := stored[plain+"/"]; rec == nil || rec.Status != 200 {
		t.Errorf("seed without scheme: %+v", rec)
	}
	if rec := stored["http://no-such-host.invalid/"]; rec == nil || rec.Status != 0 || rec.ErrorClass != "dns" {
		t.Errorf("no such host: %+v", rec)
	}
}

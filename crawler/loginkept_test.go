package crawler_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/httpclient"
)

// TestLoginFailuresAreKept: a crawl that is started again and again tries to log in no
// more often than one that goes on.
func TestLoginFailuresAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := newLivingSite(t, func(path string, _ http.Header) (string, int) { return path, 0 })
		var tries []time.Time
		dir := filepath.Join(t.TempDir(), "job")
		n := 0
		// run adds a page and crawls for so long; zero: to the end.
		run := func(maxTime time.Duration, l crawler.Login) *crawler.Summary {
			n++
			return site.crawl(t, crawler.Config{
				Dir: dir, Seeds: []string{fmt.Sprint(livingURL, "/", n)}, MaxTime: maxTime, Delay: crawler.NoDelay,
				Sites: []crawler.Site{{Hosts: []string{"127.0.0.1"}, Login: &l}},
			})
		}
		wrong := crawler.Login{Do: func(context.Context, *httpclient.Session) error {
			tries = append(tries, time.Now())
			return errors.New("wrong password")
		}}
		for range 4 { // which are over before the second try is due
			run(200*time.Millisecond, wrong)
		}
		if len(tries) != 1 {
			t.Errorf("in less than a second tried at %v", tries)
		}
		explained(t, dir, "by a function; 1 failures in a row, not tried again before 2000-01-01T00:00:0")
		if s := run(0, wrong); len(tries) != 3 || s.LeftOut[crawler.ReasonLogin] != 5 || s.LoginFailures != 3 {
			t.Errorf("tried at %v, %+v", tries, s.Stats)
		}
		for i := range 2 {
			if gap, want := tries[i+1].Sub(tries[i]), time.Second<<(2*i); gap < want {
				t.Errorf("try %d came %v after the one before, want %v", i+2, gap, want)
			}
		}
		for range 5 {
			time.Sleep(10 * time.Minute)
			run(0, wrong)
		}
		if s := run(0, wrong); len(tries) != 3 || s.LeftOut[crawler.ReasonLogin] != 11 || !strings.Contains(fmt.Sprint(s.Problems), "wrong password") {
			t.Errorf("within the hour: tried at %v, %+v", tries, s)
		}
		explained(t, dir, "by a function; 3 failures in a row, not tried again before 2000-01-01T01:00:0")
		time.Sleep(11 * time.Minute)
		if run(0, wrong); len(tries) != 6 {
			t.Errorf("after an hour: tried at %v", tries)
		}

		// Another login is another matter, and a good one ends it.
		right := crawler.Login{About: "by another function", Do: func(context.Context, *httpclient.Session) error { return nil }}
		if s := run(0, right); s.Fetched != 1 || s.Logins != 1 {
			t.Errorf("another login: %+v", s.Stats)
		}
		explained(t, dir, "by another function")
		if run(0, wrong); len(tries) != 9 {
			t.Errorf("after a good one: tried at %v", tries)
		}
	})
}

// explained fails if the login of the site is not explained so.
func explained(t *testing.T, dir, want string) {
	t.Helper()
	closing(t, dir, func(j *crawler.Job) {
		e, err := j.Explain(t.Context(), livingURL)
		if err != nil || !strings.HasPrefix(e.Login, want) {
			t.Errorf("explained as %q, %v; want %q", e.Login, err, want)
		}
	})
}

// TestLoginCountsBeforehand: a try counts even if the process does not live to see its
// end, but not if it is stopped.
func TestLoginCountsBeforehand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := newLivingSite(t, func(path string, _ http.Header) (string, int) { return path, 0 })
		dir := filepath.Join(t.TempDir(), "job")
		killed := ""
		site.crawl(t, crawler.Config{
			Dir: dir, Seeds: []string{livingURL}, MaxTime: time.Second,
			Sites: []crawler.Site{{Hosts: []string{"127.0.0.1"}, Login: &crawler.Login{Do: func(ctx context.Context, _ *httpclient.Session) error {
				killed = filepath.Join(t.TempDir(), "job") // as the process would leave it
				if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
					t.Error(err)
				}
				<-ctx.Done()
				return ctx.Err()
			}}}},
		})
		explained(t, dir, "by a function")
		explained(t, killed, "by a function; 1 failures in a row, not tried again before 2000-01-01T00:00:0")
	})
}

// TestBarrenLoginsAreKept: logins that seem to succeed are failures of all runs, too.
func TestBarrenLoginsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := 401
		site := newLivingSite(t, func(path string, _ http.Header) (string, int) {
			if path == "/robots.txt" {
				return "", 404
			}
			return path, status
		})
		logins := 0
		cfg := crawler.Config{
			Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{livingURL}, MaxTime: 1500 * time.Millisecond,
			Sites: []crawler.Site{{Hosts: []string{"127.0.0.1"}, Login: &crawler.Login{
				Do: func(context.Context, *httpclient.Session) error { logins++; return nil },
			}}},
		}
		for range 10 {
			site.crawl(t, cfg)
		}
		if logins < 3 || logins > 6 { // a run may end before the first page of its last session
			t.Errorf("%d logins", logins)
		}

		// A good page ends that.
		time.Sleep(time.Hour)
		status, logins = 0, 0
		cfg.Seeds = []string{livingURL + "/2"}
		site.crawl(t, cfg)
		status = 401
		for i := range 10 {
			cfg.Seeds = []string{fmt.Sprint(livingURL, "/bad/", i)}
			site.crawl(t, cfg)
		}
		if logins < 4 || logins > 7 { // one more
			t.Errorf("%d logins after a good one", logins)
		}
	})
}

// TestLoginSettings: with other settings a form is another login, which is not made to
// wait for the failures of the one before.
func TestLoginSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logins := 0
		site := newLivingSite(t, func(path string, _ http.Header) (string, int) {
			if path == "/login" {
				logins++
				return "<form method=post><input name=user><input type=password name=password></form>", 0
			}
			return path, 0
		})
		cfg := crawler.Config{Dir: filepath.Join(t.TempDir(), "job"), Delay: crawler.NoDelay}
		form := crawler.FormLogin{URL: livingURL + "/login", Fields: map[string]string{"user": "alice", "password": "hunter1"}}
		try := func(path string) int {
			before := logins
			cfg.Seeds = []string{livingURL + path}
			cfg.Sites = []crawler.Site{{Hosts: []string{"127.0.0.1"}, Login: form.Login()}}
			site.crawl(t, cfg)
			return (logins - before) / 2 // the form, and the form again
		}
		if n := try("/1"); n != 3 {
			t.Errorf("%d tries", n)
		}
		if n := try("/2"); n != 0 {
			t.Errorf("%d tries more within the hour", n)
		}
		form.Fields = maps.Clone(form.Fields)
		form.Fields["password"] = "hunter2"
		if n := try("/3"); n != 3 {
			t.Errorf("%d tries with another password", n)
		}
		if text, err := os.ReadFile(filepath.Join(cfg.Dir, "job.db")); err != nil || strings.Contains(string(text), "hunter") {
			t.Errorf("the job has the password, or %v", err)
		}
	})
}

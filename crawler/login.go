package crawler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/httpclient"
)

// Login begins a session with the hosts of a Site, before the first of their pages
// and again when one says that the session is over; that page is fetched again
// then, up to Config.Retries times, but twice at least. One login at a time is
// under way for a site; its other pages wait in the frontier, not in workers.
// FormLogin makes one for sites with a form.
//
// A resumed run logs in anew, unless Config.KeepCookies has kept the session.
type Login struct {
	// Do logs in, by requests with s, which has the crawl's cookies and connections. Each
	// is made when the delay of its host allows that, redirected ones too; 20 are
	// allowed. They are counted (Stats.LoginRequests), but are no pages, and robots.txt is
	// not asked about them, nor are they archived. An error, or a panic, is a failure:
	// the next try is made after 1 s, 4 s, ….
	Do func(ctx context.Context, s *httpclient.Session) error

	// Ended says whether a page is what is shown to those who are not logged in. A
	// redirect is a page, too: see Page.Header. Nil: one with status 401.
	Ended func(*Page) bool

	// Tries is how many failures in a row there may be. Then the pages of the site are
	// left out for an hour, with ReasonLogin. Logins after which no page was a good one
	// count as failures. Zero: 3.
	//
	// The job keeps the failures, and the hour, so that a crawl that is started again
	// and again does not lock an account. A try counts before it is made. What is kept is
	// forgotten when the login is another one: a FormLogin with other settings, a Do
	// with another About.
	Tries int

	// About tells people how it logs in, without secrets; see Job.Explain.
	About string

	settings func() []byte // what tells it from another one; nil: About
}

const (
	defaultLoginTries = 3
	loginDownAge      = time.Hour       // then a login that was given up is tried again
	loginWait         = time.Second     // between two looks whether one under way is over
	loginTime         = 2 * time.Minute // the most that one may take, besides delays
	maxLoginRequests  = 20
)

// errLoginRequests ends a login that goes round in circles.
var errLoginRequests = fmt.Errorf("more than %d requests", maxLoginRequests)

// loginState is how a site's login stands. Its methods may be called at once.
type loginState struct {
	Login
	name    string // of the site, for the job: its hosts
	durable bool   // its session is kept with the job's cookies

	mu       sync.Mutex
	busy     bool // one is under way
	valid    bool // there is a session
	turn     int  // number of the session
	failures int  // in a row
	good     bool // a page of the session was a good one
	barren   int  // sessions in a row without
	until    time.Time
	why      string
	seal     seal // of what has failed
}

func newLoginState(one *Site) *loginState {
	l := &loginState{Login: *one.Login, name: strings.Join(one.Hosts, " ")}
	l.Tries = orDefault(l.Tries, defaultLoginTries)
	l.About = orDefault(l.About, "by a function")
	if l.Ended == nil {
		l.Ended = func(p *Page) bool { return p.Status == http.StatusUnauthorized }
	}
	return l
}

func (l *Login) validate() error {
	switch {
	case l.Do == nil:
		return errors.New("login: has no Do")
	case l.Tries < 0:
		return errors.New("login: Tries must not be negative")
	}
	return nil
}

type loginStep int

const (
	loginDone loginStep = iota // there is a session
	loginMine                  // the caller is to log in, and to tell the end
	loginBusy                  // not before a time
	loginLost                  // given up
)

// begin says what a visit is to do about the login.
func (l *loginState) begin(now time.Time) (step loginStep, turn int, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.valid:
		return loginDone, l.turn, until
	case l.busy:
		return loginBusy, 0, now.Add(loginWait)
	case now.Before(l.until) && l.failures >= l.Tries:
		return loginLost, 0, l.until
	case now.Before(l.until):
		return loginBusy, 0, l.until
	case l.failures >= l.Tries:
		l.failures = 0
	}
	l.busy = true
	return loginMine, 0, until
}

// succeed notes a session and returns its number.
func (l *loginState) succeed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy, l.valid, l.good, l.failures, l.why = false, true, false, 0, ""
	l.turn++
	return l.turn
}

// fail notes a failure, and returns when the next try may be, and whether it was
// the last.
func (l *loginState) fail(err error, now time.Time) (until time.Time, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy, l.why = false, err.Error()
	l.failures++
	l.until = l.next(l.failures, now)
	return l.until, l.failures >= l.Tries
}

// next is when another try may be made after so many failures in a row.
func (l *loginState) next(failures int, now time.Time) time.Time {
	if failures >= l.Tries {
		return now.Add(loginDownAge)
	}
	return now.Add(backoff(failures - 1))
}

// leave ends a try that came to nothing, through no fault of the site's.
func (l *loginState) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = false
}

// worked notes that a page of a session was a good one, and reports whether that is news
// after others without.
func (l *loginState) worked(turn int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.valid || l.turn != turn {
		return false
	}
	news := l.barren > 0
	l.good, l.barren = true, 0
	return news
}

// barrenLogins is why a login is given up that seems to succeed.
const barrenLogins = "after each login the next page says that there is no session"

// end notes that the session of a turn is over, and reports whether that is news.
func (l *loginState) end(turn int, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.valid || l.turn != turn {
		return false
	}
	l.valid = false
	if l.good || turn == 0 { // that of an earlier run may have been over for long
		return true
	}
	if l.barren++; l.barren >= l.Tries {
		l.failures, l.barren, l.why = l.Tries, 0, barrenLogins
		l.until = l.next(l.failures, now)
	}
	return true
}

func (l *loginState) reason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why
}

// loggedIn reports whether the URL may be fetched now, after logging in if that is
// due. If not, the visit has been ended, or the URL goes back for a later lease.
func (v *visit) loggedIn(ctx context.Context) bool {
	l := v.site.login
	if l == nil {
		return true
	}
	step, turn, until := l.begin(time.Now())
	switch step {
	case loginDone:
		v.turn = turn
		return true
	case loginLost:
		v.leaveOutSeed(ReasonLogin, "%s", l.reason())
		return false
	case loginBusy:
		v.blockHost(until)
		return false
	}
	return v.logIn(ctx, l)
}

// logIn makes a try. It reports true if the page may follow at once.
func (v *visit) logIn(ctx context.Context, l *loginState) bool {
	if v.commits.commit(&change{login: l}) != nil { // it counts, should the process not see its end
		l.leave()
		return false
	}
	r := &loginRequests{visit: v}
	inner, cancel := context.WithTimeout(ctx, loginTime+maxLoginRequests*max(v.pause(), robotsForeignWait))
	err := r.do(inner, l)
	cancel()
	if ctx.Err() != nil || errors.Is(err, errNoProxy) || errors.Is(err, errAddress) {
		l.leave()
		v.commits.submit(&change{login: l})
		return false // it goes back
	}
	if err != nil && classify(err).class == classLocal {
		l.leave()
		v.putOff(err)
		v.ch.login = l
		return false
	}
	ch := &change{hosts: r.foreign.hosts, login: l}
	ch.tally.LoginRequests = int64(r.count)
	if err != nil {
		v.loginFailed(l, err, ch)
		return false
	}
	v.turn = l.succeed()
	ch.tally.Logins = 1
	v.saveCookies()
	v.events.LoggedIn(LoginEvent{Host: v.req.Host, Requests: r.count})
	if err := v.commits.commit(ch); err != nil {
		return false
	}
	return r.count == 0 || v.pause() == 0 // else the host wants a pause between login and page
}

// loginFailed counts a failure, and lets the host wait for the next try.
func (v *visit) loginFailed(l *loginState, err error, ch *change) {
	until, lost := l.fail(err, time.Now())
	v.cfg.Logger.Warn("login failed", "host", v.req.Host, "error", err, "next", until)
	v.events.LoggedIn(LoginEvent{Host: v.req.Host, Requests: int(ch.tally.LoginRequests), Err: err, Next: until})
	ch.tally.LoginFailures = 1
	if !lost {
		ch.hosts = append(ch.hosts, frontier.HostChange{Host: v.req.Host, BlockedUntil: until})
	}
	if v.commits.commit(ch) == nil && lost {
		v.leaveOutSeed(ReasonLogin, "%v", err)
	}
}

// loggedOut reports whether a page says that its session is over. It ends the visit
// then, unless the URL was tried often enough, which v.outside tells.
func (v *visit) loggedOut(p *Page) bool {
	l := v.site.login
	if l == nil {
		return false
	}
	if !l.Ended(p) {
		if l.worked(v.turn) {
			v.commits.submit(&change{login: l})
		}
		return false
	}
	now := time.Now()
	if l.end(v.turn, now) {
		v.commits.submit(&change{login: l})
	}
	if v.outside = v.req.Attempt >= max(v.cfg.Retries, minLoginAgain); v.outside {
		return false
	}
	again := v.req
	again.Attempt++
	v.ch = &change{retry: []frontier.Leased{again}}
	v.ch.tally.Retried = 1
	v.events.Retried(RetriedEvent{URL: v.req.URL, Status: p.Status, Err: errLoggedOut, Attempt: again.Attempt, Next: now})
	return true
}

// minLoginAgain is how often at least a page is fetched again for a new session.
const minLoginAgain = 2

// errLoggedOut is why a page is fetched again, and at last the error of its result.
var errLoggedOut = errors.New("the page is that for those who are not logged in")

// loginRequests make the requests of one try.
type loginRequests struct {
	*visit
	foreign robotsAnswer // to hosts that are not leased
	last    time.Time    // the latest request to the leased one; zero: none
	count   int
}

// do calls the hook, which may panic.
func (r *loginRequests) do(ctx context.Context, l *loginState) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return l.Do(ctx, r.session.With(httpclient.Timeout{Total: httpclient.NoTimeout}, r.send))
}

// send waits for the turn of each request's host, and adds what all requests to it
// have.
func (r *loginRequests) send(next httpclient.Handler) httpclient.Handler {
	return func(ctx context.Context, req *httpclient.Request) (*httpclient.Response, error) {
		u, err := weburl.Parse(req.URL())
		if err != nil {
			return nil, err
		}
		if r.count == maxLoginRequests {
			return nil, errLoginRequests
		}
		own := u.Host() == r.req.Host
		if own {
			err = r.await(ctx)
		} else {
			err = r.awaitForeign(ctx, &r.foreign, u)
		}
		if err != nil {
			return nil, err
		}
		r.count++
		given := slices.Clone(req.Header)
		r.dressLogin(req, u)
		if own {
			r.lease.Started(time.Now())
		}
		resp, err := next(ctx, req)
		req.Header = given // a redirect may lead to who must not see the rest
		if own {
			r.last = time.Now()
			r.lease.Started(r.last)
			r.lease.Answered(r.last)
		}
		return resp, err
	}
}

func (r *loginRequests) dressLogin(req *httpclient.Request, u weburl.URL) {
	site := r.scope.sites.of(u.Host())
	if site.UserAgent != "" && !req.Header.Has("User-Agent") {
		req.Header.Set("User-Agent", site.UserAgent)
	}
	if !req.Header.Has("Authorization") {
		r.scope.sites.authorize(req, u)
	}
	site.dress(req)
}

// await waits until the leased host may be asked again.
func (r *loginRequests) await(ctx context.Context) error {
	if r.last.IsZero() {
		return ctx.Err()
	}
	known, err := r.front.Lookup(ctx, frontier.Request{Host: r.req.Host})
	if err != nil {
		return err
	}
	pause := max(r.pause(), known.Host.Delay)
	next := r.last.Add(pause)
	if pause > 0 {
		r.blockHost(next.Add(pause)) // or another lease of the host would begin a page just then
	}
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

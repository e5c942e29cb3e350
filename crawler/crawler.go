package crawler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/httpclient"
	"github.com/orbweaver/orbweaver/storage"
)

// Crawler runs a job. It is made by New and ended by Close. Its methods may be
// called at once, from handlers and events too, but for Close, which waits for
// them.
type Crawler struct {
	cfg        Config
	job        *Job
	temp       string // directory to be removed; "": none
	front      *frontier.Frontier
	scope      *scope
	rejudge    bool // what waits may have been found by other rules
	guard      *addressGuard
	robots     *robotsCache
	agent      string // the name that robots.txt and pages know the crawler by
	urls       weburl.Parser
	kinds      links.Kind // of links to look for
	silent     *unanswering
	novelty    *noveltyWatch
	unmodified unmodified // pages, by the sitemaps of this run
	commits    *committer
	gate       *gate
	reserve    *reserve
	usage      usage
	control    *controlServer // nil: none
	handler    Handler
	wants      func(status int) bool
	events     Events
	rounds     int   // the number of the one under way
	round      Round // which that is; Run's alone
	limits     storage.Limits

	proxies    *proxies // nil: requests go to the hosts themselves
	session    *httpclient.Session
	ownSession bool
	cache      *cacheDir    // nil: none
	replayer   *replayer    // nil without a cache
	cookies    *keptCookies // nil: none are kept in the job
	archives   *archive     // nil: none are written
	bodies     sync.Pool    // of *body
	buffers    sync.Pool    // of *buffer

	meter   meter
	running atomic.Bool

	open  context.Context // ends with Close,
	close context.CancelFunc
	calls sync.WaitGroup // which waits for the calls of Run and AddSeeds

	pausing sync.Mutex // held by Pause and Resume

	mu          sync.Mutex
	closed      bool
	stop        context.CancelFunc      // of the run; nil: none
	kill        context.CancelCauseFunc // of the run; nil: none
	stopAsked   bool                    // Stop was called while there was no run
	started     time.Time
	ended       time.Time // zero: still running
	pausedSince time.Time // by Pause; zero: not
	base        counters  // when the run started
	problems    []string
}

// maxProblems bounds the list of seeds that led nowhere.
const maxProblems = 20

// ErrRunning is returned by Run while another Run is under way, and ErrClosed by
// Run and AddSeeds after Close.
var (
	ErrRunning = errors.New("crawler: is running")
	ErrClosed  = errors.New("crawler: is closed")
)

// New opens the job, or makes it, and adds cfg.Seeds. The error is a
// *ConfigError, a *JobError, or joins the *SeedErrors of seeds that are no
// URLs. The caller closes the crawler.
func New(cfg Config) (*Crawler, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	c := &Crawler{cfg: cfg, handler: cfg.Handler, wants: wantedStatuses(cfg), events: cfg.Events.complete()}
	if c.limits, err = (storage.Limits{}).WithDefaults(); err != nil {
		return nil, err
	}
	if c.scope, err = newScope(&c.cfg); err != nil {
		return nil, err
	}
	c.urls = weburl.Parser{Rules: c.cfg.URLs}
	c.agent, c.kinds = agentName(c.cfg.UserAgent), c.scope.kinds
	c.guard = newAddressGuard()
	c.open, c.close = context.WithCancel(context.Background())
	if err := c.openJob(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if _, err := c.AddSeeds(context.Background(), slices.Values(cfg.Seeds)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func wantedStatuses(cfg Config) func(int) bool {
	if cfg.Statuses != nil {
		return cfg.Statuses
	}
	if h, ok := cfg.Handler.(statusHandler); ok {
		return h.WantsStatus
	}
	return func(status int) bool { return status/100 == 2 }
}

// openJob opens everything; what was opened when it fails is closed by Close.
func (c *Crawler) openJob() (err error) {
	dir := c.cfg.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "crawl-"); err != nil {
			return err
		}
		c.temp = dir
	}
	if c.job, err = createJob(dir); err != nil {
		return err
	}
	c.job.memory = c.cfg.Memory
	if c.rejudge, err = c.job.keepRules(&c.cfg, &c.scope.sites); err != nil {
		return err
	}
	if err := c.job.roots(func(key string) { c.widen(key) }); err != nil {
		return err
	}
	c.robots = newRobotsCache(c.job)
	c.silent = newUnanswering(c.cfg.HostFailures, c.job.silenceOf)
	givenUp, err := c.job.givenUp()
	if err != nil {
		return err
	}
	c.novelty = newNoveltyWatch(c.cfg.Novelty, givenUp)
	return c.openEngine()
}

func (c *Crawler) openEngine() (err error) {
	backend := frontier.Backend(c.job.backend)
	if c.cfg.Frontier != nil {
		backend = c.cfg.Frontier
	}
	store := c.job.Store()
	if c.cfg.Store != nil {
		store = c.cfg.Store
	}
	if c.archives, err = c.openArchive(); err != nil {
		return err
	}
	if err := c.openRound(); err != nil {
		return err
	}
	c.rounds = c.round.Number
	commits, err := newCommitter(c.job, backend, store, c.events)
	if err != nil {
		return err
	}
	commits.archives = c.archives
	c.front, err = frontier.New(backend, frontier.Config{
		Delay: c.cfg.Delay, MaxDelay: robotsMaxDelay, PerHost: c.cfg.PerHost, Rate: c.cfg.Rate,
		Policy: c.scope.sites.policy(c.cfg.hostPolicy()), AddressDelay: c.cfg.AddressDelay, Adaptive: c.cfg.Adaptive,
		Starved: commits.starved, LateEvery: c.cfg.lateEvery(),
	})
	if wrong := (*frontier.ConfigError)(nil); errors.As(err, &wrong) {
		return &ConfigError{wrong.Field, wrong.Reason}
	}
	if err != nil {
		return c.job.wrap("open", err)
	}
	if err := c.startPaused(); err != nil {
		return err
	}
	c.openReserve()
	if err := c.openSession(); err != nil {
		return err
	}
	if err := c.takeLogins(); err != nil {
		return err
	}
	if err := c.openReplay(); err != nil {
		return err
	}
	commits.front, commits.room = c.front, c.reserve
	c.commits = commits
	go commits.run()
	c.startControl()
	return nil
}

// rules are the part of a Config that Explain needs, as it is kept in the job.
type rules struct {
	Scope        ScopeKind        `json:"scope"`
	Include      []*regexp.Regexp `json:"include,omitempty"`
	Exclude      []*regexp.Regexp `json:"exclude,omitempty"`
	Rules        []Rule           `json:"rules,omitempty"`
	URLLimits    URLLimits        `json:"url_limits,omitzero"`
	MaxDepth     int              `json:"max_depth,omitempty"`
	URLs         weburl.Rules     `json:"urls,omitzero"`
	Sites        []Site           `json:"sites,omitempty"`
	Follow       links.Kind       `json:"follow,omitzero"`
	Sitemaps     Sitemaps         `json:"sitemaps,omitempty"`
	Agent        string           `json:"agent"`
	Delay        time.Duration    `json:"delay_ns,omitempty"`
	IgnoreRobots bool             `json:"ignore_robots,omitempty"`
	MaxStale     time.Duration    `json:"max_stale_ns,omitempty"`

	Changed bool `json:"changed,omitempty"` // what waits may have been found by other rules: see scoping

	Archives string `json:"archives,omitempty"` // where they are in the job's directory; "": there never were any

	Auth map[string]string `json:"auth,omitempty"` // by origin, told without secrets

	Logins map[string]string `json:"logins,omitempty"` // by the name of the site, told without secrets

	Novelty   Novelty `json:"novelty,omitzero"`     // by which parts of sites were given up
	NoNovelty bool    `json:"no_novelty,omitempty"` // the last run judged none, and left nothing out

	Proxies     []keptProxy `json:"proxies,omitempty"`
	ProxyPolicy ProxyPolicy `json:"proxy_policy,omitempty"`
}

var keyRules = []byte("rules")

// scoping is the part of r that decides which URLs belong.
func (r *rules) scoping() rules {
	return rules{
		Scope: r.Scope, Include: r.Include, Exclude: r.Exclude, Rules: r.Rules,
		URLLimits: r.URLLimits, MaxDepth: r.MaxDepth, Sites: r.Sites, Follow: r.Follow,
	}
}

// sameScoping compares what is written, which compiled expressions are not compared by.
func sameScoping(a, b *rules) (bool, error) {
	textA, errA := json.Marshal(a.scoping())
	textB, errB := json.Marshal(b.scoping())
	return bytes.Equal(textA, textB), errors.Join(errA, errB)
}

// keepRules stores what the job is run with. It reports whether what waits may have
// been found by other rules.
func (j *Job) keepRules(cfg *Config, s *sites) (changed bool, err error) {
	r := rules{
		Scope: cfg.Scope, Include: cfg.Include, Exclude: cfg.Exclude, Rules: cfg.Rules,
		URLLimits: cfg.URLLimits, MaxDepth: cfg.MaxDepth, URLs: cfg.URLs, Sites: cfg.Sites, Follow: cfg.Follow, Sitemaps: cfg.Sitemaps,
		Agent: agentName(cfg.UserAgent), IgnoreRobots: cfg.Robots.Ignore, Delay: cfg.Delay, MaxStale: cfg.Robots.MaxStale,
	}
	for _, l := range s.logins {
		if r.Logins == nil {
			r.Logins = make(map[string]string)
		}
		r.Logins[l.name] = l.About
	}
	r.Proxies, r.ProxyPolicy = keepProxies(cfg), cfg.ProxyPolicy
	for origin, c := range s.auth {
		if r.Auth == nil {
			r.Auth = make(map[string]string)
		}
		r.Auth[origin] = c.text
	}
	kept, err := j.keptRules()
	if err != nil {
		return false, err
	}
	if r.Archives = kept.Archives; cfg.WARC != nil {
		r.Archives = cfg.WARC.dir()
	}
	if r.Novelty = kept.Novelty; cfg.Novelty.Pages >= 0 {
		r.Novelty = Novelty{orDefault(cfg.Novelty.Pages, DefaultNoveltyPages), cfg.Novelty.Similar}
	}
	r.NoNovelty = cfg.Novelty.Pages < 0
	known, err := j.backend.Stats(context.Background())
	if err != nil {
		return false, j.wrap("read", err)
	}
	if known.Known > 0 && !sameURLs(kept.URLs, r.URLs) {
		return false, j.wrap("open", ErrURLRules)
	}
	same, err := sameScoping(&kept, &r)
	if err != nil {
		return false, err
	}
	r.Changed = known.Known > known.Done && (kept.Changed || !same)
	text, err := json.Marshal(r)
	if err != nil {
		return false, err
	}
	return r.Changed, j.update("write to", func(b *bbolt.Bucket) error {
		if cfg.Settings != nil {
			if err := b.Put(keySettings, cfg.Settings); err != nil {
				return err
			}
		}
		if r.Novelty != kept.Novelty {
			if err := takeUpAgain(b); err != nil {
				return err
			}
		}
		return b.Put(keyRules, text)
	})
}

// sameURLs says whether both make the same URLs of those that are found.
func sameURLs(a, b weburl.Rules) bool {
	same := slices.Equal(a.DropParams, b.DropParams)
	a.DropParams, b.DropParams = nil, nil
	return same && reflect.DeepEqual(a, b)
}

// keptRules returns what the job was last run with.
func (j *Job) keptRules() (r rules, err error) {
	err = j.view(func(b *bbolt.Bucket) error {
		text := b.Get(keyRules)
		if text == nil {
			return nil
		}
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("%w: rules: %w", ErrCorrupt, err)
		}
		return nil
	})
	return r, err
}

// KeepSettings replaces what Config.Settings put into the job. The error is
// ErrClosed or a *JobError.
func (c *Crawler) KeepSettings(settings []byte) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.calls.Done()
	return c.job.update("write to", func(b *bbolt.Bucket) error { return b.Put(keySettings, settings) })
}

// Stop ends the run softly: what is being fetched is finished and committed,
// the rest waits for the next run. It does not wait. Called while there is no
// run, it ends the next one as soon as that begins.
func (c *Crawler) Stop() {
	c.mu.Lock()
	stop := c.stop
	c.stopAsked = stop == nil
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
	c.events.Stopping(StoppingEvent{})
}

// StopNow is Stop, but what is being fetched is given back to the frontier, as if
// the context of the run had ended.
func (c *Crawler) StopNow() {
	c.mu.Lock()
	kill := c.kill
	c.stopAsked = kill == nil
	c.mu.Unlock()
	if kill != nil {
		kill(errStopNow)
	}
	c.events.Stopping(StoppingEvent{Now: true})
}

// Stats returns the figures of now.
func (c *Crawler) Stats() Stats {
	n := c.commits.snapshot()
	s := n.stats()
	s.setQueue(c.front.Stats())
	s.Round = c.rounds
	s.Cache = c.cache.stats()
	s.Disk, s.InFlight = c.disk(), c.gate.underWay()
	if c.proxies != nil {
		s.Proxies = c.proxies.stats(time.Now())
	}
	if due := c.front.Due(); due != frontier.Never {
		s.Due = due
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Paused = c.pausedSince
	s.Problems = slices.Clone(c.problems)
	if c.started.IsZero() {
		return s
	}
	now := time.Now()
	if !c.ended.IsZero() {
		now = c.ended
	}
	s.Started, s.Elapsed = c.started, now.Sub(c.started)
	s.RunFetched, s.RunFailed = n.Fetched-c.base.Fetched, n.Failed-c.base.Failed
	s.Rate = c.meter.rate(c.started, now)
	return s
}

// Job returns the job that is being run. It must not be closed.
func (c *Crawler) Job() *Job { return c.job }

// begin counts a call that Close waits for, until c.calls.Done.
func (c *Crawler) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.calls.Add(1)
	return nil
}

// Close ends the crawler. A Run or AddSeeds under way is ended as by its
// context, and waited for, so it must not be called from a handler or an event.
// What was committed is in the job. It may be called again. When the job could not
// be written at its end, the error is a *JobError.
func (c *Crawler) Close() error {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	c.mu.Unlock()
	if again {
		return nil
	}
	if c.proxies != nil {
		c.proxies.close()
	}
	if c.control != nil {
		c.control.leave()
		defer c.control.close() // last, as clients wait for it to learn that the job is closed
	}
	c.close()
	c.calls.Wait()
	var errs []error
	if c.commits != nil {
		// Why a commit failed was told by Run or AddSeeds.
		_ = c.commits.close()
	}
	if c.archives != nil {
		errs = append(errs, c.job.wrap("archive", c.archives.files.Close()))
	}
	if c.front != nil {
		errs = append(errs, c.job.wrap("close", c.front.Close()))
	}
	if c.job != nil {
		errs = append(errs, c.job.wrap("write cookies of", c.cookies.save()))
	}
	if c.replayer != nil {
		errs = append(errs, c.replayer.session.Close())
	}
	if c.ownSession {
		errs = append(errs, c.session.Close())
	}
	if c.job != nil {
		errs = append(errs, c.job.Close())
	}
	if c.temp != "" {
		errs = append(errs, os.RemoveAll(c.temp))
	}
	return errors.Join(errs...)
}

// problem notes what became of a seed that led nowhere.
func (c *Crawler) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.cfg.Logger.Info(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, text)
	}
}

func (c *Crawler) tellLeftOut(link, referrer string, r Reason) {
	c.events.LeftOut(LeftOutEvent{URL: link, Referrer: referrer, Reason: r})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/orbweaver/orbweaver/crawler"
)

// runCommand is "crawl run".
type runCommand struct {
	URLs        []string  `arg:"" optional:"" name:"url" help:"Where to start; more with --seeds. None resumes the job."`
	Job         directory `once:"" default:"${job}" placeholder:"DIR" help:"The job's directory (${default}); created if it is missing, resumed if not."`
	Seeds       string    `once:"" placeholder:"FILE" help:"Read seeds from FILE, a URL a line, # begins a comment; - is standard input."`
	Config      string    `once:"" placeholder:"FILE" help:"Read settings from FILE, YAML with the names of these flags. Flags and CRAWL_* variables win over it."`
	CookiesFrom string    `once:"" name:"cookies-from" placeholder:"FILE" help:"Before the run, take the cookies of FILE, in the format of cookies.txt or of JSON lines. See --cookies."`

	Recrawl bool `once:"" help:"If nothing of the job is waiting, fetch all of it again as a new round, what has not changed by a short answer (304)."`
	Quiet   bool `once:"" help:"Tell of errors only."`
	JSON    bool `once:"" name:"json" help:"Tell of progress as JSON, an object a line."`

	Settings settings `embed:""`

	sections sections
	kept     keptSettings // the text of sections
	resumed  bool         // there is a job in Job
	unread   []string     // what it notes of seeds that were not read; see unreadSeeds
}

// settings are the flags that a job keeps: a resumed run does again what they
// said unless it is told otherwise.
type settings struct {
	MaxPages  count     `group:"extent" default:"0" placeholder:"N" help:"End when the job has N responses; 0 for no limit."`
	MaxBytes  sizeLimit `group:"extent" default:"0" placeholder:"SIZE" help:"End when the bodies of the job have SIZE bytes, as transferred; 0 for no limit."`
	MaxDepth  count     `group:"extent" default:"0" placeholder:"N" help:"Follow at most N links from a seed; 0 for no limit."`
	MaxTime   duration  `group:"extent" default:"0s" placeholder:"D" help:"End this run after D; 0s for no limit."`
	HostPages count     `group:"extent" default:"0" placeholder:"N" help:"Fetch at most N responses of each host; 0 for no limit."`
	HostBytes sizeLimit `group:"extent" default:"0" placeholder:"SIZE" help:"Fetch no more of a host whose bodies have SIZE bytes, as transferred; 0 for no limit."`
	HostTime  duration  `group:"extent" default:"0s" placeholder:"D" help:"Fetch no more of a host D after its first result; 0s for no limit."`
	Scope     scopeKind `group:"extent" default:"host" placeholder:"KIND" help:"What belongs, seen from the seeds: host, domain, prefix or any (${default})."`
	Include   []pattern `group:"extent" sep:"none" placeholder:"RE" help:"Follow only links that match RE. May be repeated."`
	Exclude   []pattern `group:"extent" sep:"none" placeholder:"RE" help:"Follow no link that matches RE. May be repeated."`
	Novelty   count     `group:"extent" default:"${novelty}" placeholder:"N" help:"Leave a part of a site alone when, of N pages of it, less than a quarter were new (${default}); 0 for never."`
	Similar   bool      `group:"extent" help:"Take pages that are nearly alike for the same (--novelty)."`

	Follow   linkKinds    `group:"extent" default:"pages" placeholder:"KINDS" help:"Kinds of links to follow: pages, resources, form, text, code, document or any single kind, parted by commas (${default})."`
	Nofollow nofollow     `group:"extent" default:"page" placeholder:"WHOSE" help:"Whose nofollow counts: that of a page, of links too, or ignore it (${default})."`
	Noindex  noindexMode  `group:"extent" default:"keep" placeholder:"MODE" help:"Pages that ask for noindex: keep them, or drop body and title (${default})."`
	Sitemaps sitemapsMode `group:"extent" default:"named" placeholder:"WHICH" help:"Sitemaps to read: named by robots.txt, guessed too, or none (${default})."`

	MaxURLLength count `group:"extent" name:"max-url-length" default:"4096" placeholder:"N" help:"Leave out URLs of more than N bytes (${default}); 0 for no limit."`
	MaxPathDepth count `group:"extent" default:"32" placeholder:"N" help:"Leave out URLs with more than N segments in their path (${default}); 0 for no limit."`
	MaxRepeats   count `group:"extent" default:"5" placeholder:"N" help:"Leave out URLs with one segment more than N times in their path (${default}); 0 for no limit."`

	URLRules  urlRules `group:"extent" name:"url-rules" default:"none" placeholder:"RULES" help:"What to take off URLs that seldom changes the page: session-ids, tracking, www, trailing-slash, and sort-query to sort; parted by commas (${default}). Fixed when a job begins."`
	DropParam []string `group:"extent" sep:"none" placeholder:"NAME" help:"Take this query parameter off URLs. May be repeated. Fixed when a job begins."`

	Revisit         revisitRange `group:"revisits" default:"off" placeholder:"MIN..MAX" help:"Visit pages again and again, until the crawl is stopped: each after MIN to MAX, sooner if it changed and later if not, such as 1h..30d; off for once (${default})."`
	RevisitFirst    span         `group:"revisits" default:"0s" placeholder:"D" help:"Visit a page D after its first visit if it says nothing else (0s: 1d, between MIN and MAX)."`
	RevisitGone     count        `group:"revisits" default:"5" placeholder:"N" help:"Visit a page no more that was gone N times in a row (${default}); 0 for never."`
	RevisitSitemaps span         `group:"revisits" default:"0s" placeholder:"D" help:"Read sitemaps every D (0s: 1d, or MAX if that is less)."`
	TrustLastmod    bool         `group:"revisits" help:"With --recrawl, leave pages alone that a sitemap says have not changed since."`

	Cache     filePath  `group:"requests" placeholder:"DIR" help:"Keep responses in DIR and replay them in later runs, of any job, instead of asking again: for while a crawl is tried out."`
	CacheAge  span      `group:"requests" default:"0s" placeholder:"D" help:"Replay no response older than D; 0s for any age."`
	CacheSize sizeLimit `group:"requests" default:"1GiB" placeholder:"SIZE" help:"Let the cache take SIZE at most (${default}); 0 for no limit."`

	Delay         duration `group:"pace" default:"1s" placeholder:"D" help:"Least time between two requests to a host (${default}); robots.txt can raise it."`
	AddressDelay  duration `group:"pace" default:"0s" placeholder:"D" help:"Least time between two requests to an IP address, whatever its hosts; 0s for no limit."`
	AdaptiveDelay rate     `group:"pace" default:"0" placeholder:"F" help:"Wait F times as long as a host took to answer, 5 minutes at most; 0 for not."`
	PerHost       positive `group:"pace" default:"1" placeholder:"N" help:"Most connections to a host (${default})."`
	Concurrency   positive `group:"pace" default:"100" placeholder:"N" help:"Most fetches at once over all hosts (${default})."`
	Rate          rate     `group:"pace" default:"0" placeholder:"N" help:"Most pages a second over all hosts; 0 for no limit."`

	HostFailures count       `group:"pace" default:"10" placeholder:"N" help:"Give a host up after N requests in a row without an answer (${default}); 0 for never."`
	DiskReserve  diskReserve `group:"extent" default:"auto" placeholder:"SIZE" help:"Wait for room when less than SIZE is free on the job's disk; 0 for never (${default}: 1GiB, or a twentieth of a small disk)."`
	Memory       size        `group:"extent" default:"192MiB" placeholder:"SIZE" help:"With more than SIZE of memory in use, let go of garbage and, on Linux, of what is mapped of the job (${default}). A job of millions of URLs runs faster with more."`

	UserAgent    string        `group:"requests" default:"${user_agent}" placeholder:"S" help:"Name told to servers, and looked for in robots.txt (${default})."`
	Robots       robotsMode    `group:"requests" default:"obey" placeholder:"MODE" help:"What robots.txt counts for: obey or ignore (${default})."`
	RobotsStale  duration      `group:"requests" default:"720h" placeholder:"D" help:"How old a robots.txt may be to stand in for one that cannot be had (${default})."`
	Cookies      cookiePlace   `group:"requests" default:"none" placeholder:"WHERE" help:"Where cookies are kept: none, memory, job (which a resumed run goes on with), or the name of a file (${default})."`
	NoBodies     bool          `group:"requests" help:"Keep no bodies in the job."`
	Timeout      duration      `group:"requests" default:"1m" placeholder:"D" help:"Most time for one fetch (${default})."`
	MaxBody      size          `group:"requests" default:"10MiB" placeholder:"SIZE" help:"Cut bodies after SIZE decoded bytes (${default})."`
	Proxy        []proxyURL    `group:"requests" sep:"none" placeholder:"URL" help:"Send requests through this proxy: http, https, socks5 or socks5h. May be repeated: then they share the hosts, and stand in for one another."`
	Proxies      filePath      `group:"requests" placeholder:"FILE" help:"Read more proxies from FILE, a URL a line, # begins a comment."`
	ProxyPolicy  proxyPolicy   `group:"requests" default:"sticky" placeholder:"POLICY" help:"Which proxy takes a request: sticky, the same for all of a host, or round-robin (${default})."`
	Header       []headerField `group:"requests" sep:"none" placeholder:"K:V" help:"Send this header field with each request. May be repeated."`
	AllowPrivate bool          `group:"requests" help:"Let pages lead to private, loopback and link-local addresses."`

	WARC            bool        `group:"archives" name:"warc" help:"Also write what goes over the wire as WARC/1.1 archives, with an index, below warc in the job's directory."`
	WARCSize        size        `group:"archives" name:"warc-size" default:"1GiB" placeholder:"SIZE" help:"Begin another archive at SIZE (${default})."`
	WARCName        fileName    `group:"archives" name:"warc-name" default:"crawl" placeholder:"S" help:"What the names of archives begin with (${default})."`
	WARCCredentials bool        `group:"archives" name:"warc-credentials" help:"Keep cookies and credentials in the requests that are archived."`
	WARCInfo        []infoField `group:"archives" name:"warc-info" sep:"none" placeholder:"K:V" help:"Tell this of every archive, such as operator:you@example.org. May be repeated."`
}

// BeforeResolve adds the places where the flags of run can be set: environment,
// file, job.
func (c *runCommand) BeforeResolve(k *kong.Context, con *console) error {
	if err := checkFiles(k); err != nil {
		return err
	}
	flags := k.Selected().Flags
	places := layers{commandLine(k), environment(con.env, flags)}
	if path := places.first("config", ""); path != "" {
		file, err := configFile(path, settable(flags), sectionNames(&c.sections))
		if err != nil {
			return &failure{status: exitUsage, err: err}
		}
		places = append(places, file)
	}
	con.display.asJSON = isOn(places.first("json", ""))
	kept, err := c.keptIn(places.first("job", defaultJob))
	if err != nil {
		return err
	}
	places = append(places, kept)
	k.AddResolver(places[1:])
	if c.kept, err = readSections(places, &c.sections); err != nil {
		return &failure{status: exitUsage, err: err}
	}
	return nil
}

// checkFiles refuses a second file for a flag that reads one: of other flags the last
// counts, so that a command line can be added to, but no input is lost by that.
func checkFiles(k *kong.Context) error {
	given := map[string]bool{}
	for _, p := range k.Path {
		if p.Flag == nil {
			continue
		}
		switch name := p.Flag.Name; name {
		case "seeds", "proxies", "cookies-from", "config":
			if given[name] {
				return &failure{exitUsage, errors.New("--" + name + ": takes one file"), "make one of them"}
			}
			given[name] = true
		}
	}
	return nil
}

// commandLine is the layer of flags that were given as such, which kong has read
// already.
func commandLine(k *kong.Context) layer {
	l := layer{}
	for _, p := range k.Path {
		if p.Flag != nil && !p.Resolved {
			l[p.Flag.Name] = given{values: texts(k.Value(p)), origin: "command line"}
		}
	}
	return l
}

// settable are the flags that a configuration file may hold.
func settable(flags []*kong.Flag) []*kong.Flag {
	var list []*kong.Flag
	for _, f := range flags {
		if f.Name != "config" {
			list = append(list, f)
		}
	}
	return list
}

// keptIn is the layer of what the job in dir was started with; it is empty if
// there is no job yet.
func (c *runCommand) keptIn(dir string) (layer, error) {
	if isMissing(dir) {
		return nil, nil
	}
	job, err := crawler.OpenJob(dir)
	if errors.Is(err, crawler.ErrNotJob) {
		return nil, nil // an empty directory; any other is refused when the crawl opens it
	}
	if err != nil {
		return nil, err
	}
	defer job.Close()
	stats, err := job.Stats()
	if err != nil {
		return nil, err
	}
	c.resumed = stats.Known > 0
	text, err := job.Settings()
	if err != nil {
		return nil, err
	}
	kept, err := parseKept(text)
	if err != nil {
		return nil, &crawler.JobError{Op: "read", Dir: dir, Err: fmt.Errorf("%w: %w", crawler.ErrCorrupt, err)}
	}
	c.unread = kept[unreadSeeds].values
	return kept, nil
}

// Run crawls.
func (c *runCommand) Run(ctx context.Context, con *console, k *kong.Context) error {
	con.display = newDisplay(con.stderr, con.env, c.Quiet, c.JSON)
	if len(c.URLs) == 0 && c.Seeds == "" && !c.resumed && len(c.unread) == 0 {
		return &failure{exitUsage, errors.New("no seeds, and " + quote(string(c.Job)) + " has no job to resume"),
			"crawl run URL ... or crawl run --seeds FILE starts one"}
	}
	if c.Recrawl && c.Settings.Revisit.max > 0 {
		return &failure{exitUsage, errors.New("--recrawl: excludes --revisit, which makes no rounds"), "add --revisit off for another round"}
	}
	flags := k.Selected().Flags
	kept := keep(flags)
	maps.Copy(kept, c.kept)
	config, err := c.Settings.config()
	if err != nil {
		return err
	}
	if err := c.sections.apply(&config, con.env); err != nil {
		return err
	}
	config.Dir, config.Recrawl = string(c.Job), c.Recrawl
	config.Settings = kept.text()
	if config.Handler, err = extractor(c.sections.Extract); err != nil {
		return err
	}
	cookies, err := openCookies(string(c.Settings.Cookies), c.CookiesFrom)
	if err != nil {
		return err
	}
	if cookies.jar != nil {
		config.Jar, config.KeepCookies = cookies.jar, cookies.inJob
	}
	unread := c.takeUp()
	seeds, err := c.openSeeds(con)
	if err != nil {
		return err
	}
	if seeds != nil {
		defer seeds.Close()
	}
	con.display.maxPages = config.MaxPages
	for _, line := range strayVariables(con.env, flags) {
		con.display.notice(line)
	}
	run := &crawl{
		display:  con.display,
		config:   config,
		settings: &c.Settings,
		cookies:  cookies,
		started:  startMessage{Job: config.Dir, Resumed: c.resumed, Settings: kept.redacted()},
		greeting: c.greeting(kept, flags),
	}
	if len(c.URLs) > 0 || seeds != nil {
		run.seeds, run.reseed = c.sources(seeds)
		run.streaming = c.Seeds == "-"
		config.Settings, run.seeded = c.noteSeeds(kept)
		run.config = config
	}
	for _, line := range unread {
		con.display.notice(line)
	}
	undo := undoing(config.Dir)
	err = run.run(ctx)
	if isUsage(err) {
		// Nothing was started: leave no job behind whose settings a second try
		// would take up.
		return errors.Join(err, undo())
	}
	return err
}

// undoing returns what takes away all that is made in a directory that is missing
// or empty now, and leaves another alone.
func undoing(dir string) func() error {
	entries, err := os.ReadDir(dir)
	switch {
	case isMissing(dir):
		return func() error { return os.RemoveAll(dir) }
	case err != nil || len(entries) > 0:
		return func() error { return nil }
	}
	return func() error {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
		return err
	}
}

// greeting tells which job it is, and with which settings if they may come as a
// surprise.
func (c *runCommand) greeting(kept keptSettings, flags []*kong.Flag) string {
	if !c.resumed {
		return "starting job " + quote(string(c.Job))
	}
	text := "resuming job " + quote(string(c.Job))
	args := kept.differing(flags)
	for _, name := range sectionNames(&c.sections) {
		if _, ok := kept[name]; ok {
			args = append(args, name)
		}
	}
	if len(args) > 0 {
		text += " with " + strings.Join(args, " ")
	}
	return text
}

// takeUp takes up the seeds that the run before did not come to read to the end,
// and returns what there is to tell of that.
func (c *runCommand) takeUp() (lines []string) {
	if len(c.unread) == 0 {
		return nil
	}
	file, urls := c.unread[0], c.unread[1:]
	c.URLs = append(c.URLs, urls...)
	info, err := os.Stat(file)
	switch {
	case file == "" || file == c.absoluteSeeds():
		return nil
	case c.Seeds == "" && err == nil && info.Mode().IsRegular():
		c.Seeds = file
		return []string{"the last run ended before all of " + quote(file) + " was read: it is read again"}
	case file == "-":
		return []string{"the last run ended while seeds came from standard input: those that it had not read are not in the job; give them with --seeds -"}
	}
	return []string{"the last run ended before all of " + quote(file) + " was read: what it had not read is not in the job; give it with --seeds " + quote(file)}
}

// noteSeeds returns the settings as they are kept until all seeds were read, with
// the note of where those come from, and what takes the note away.
func (c *runCommand) noteSeeds(kept keptSettings) (noted []byte, seeded func(*crawler.Crawler) error) {
	with := maps.Clone(kept)
	with[unreadSeeds] = append([]string{c.absoluteSeeds()}, c.URLs...)
	return with.text(), func(cr *crawler.Crawler) error { return cr.KeepSettings(kept.text()) }
}

// absoluteSeeds is the file of seeds as it is called from any directory.
func (c *runCommand) absoluteSeeds() string {
	if c.Seeds == "-" {
		return c.Seeds
	}
	return absolute(c.Seeds)
}

// openSeeds opens the file of seeds; nil if there is none.
func (c *runCommand) openSeeds(con *console) (io.ReadCloser, error) {
	switch c.Seeds {
	case "":
		return nil, nil
	case "-":
		return io.NopCloser(con.stdin), nil
	}
	f, err := os.Open(c.Seeds)
	if err != nil {
		return nil, badSeedFile(err)
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, badSeedFile(errors.New(quote(c.Seeds) + " is a directory"))
	}
	return f, nil
}

func badSeedFile(err error) error {
	return &failure{exitUsage, fmt.Errorf("--seeds: %w", err), "name a file with one URL a line, or - for standard input"}
}

// sources returns the seeds of the command line and of the file, and the
// arguments that give them again.
func (c *runCommand) sources(file io.Reader) (open func(context.Context) *sources, again string) {
	for _, u := range c.URLs {
		again += " " + quote(u)
	}
	if file != nil {
		again += " --seeds " + quote(c.Seeds)
	}
	return func(ctx context.Context) *sources {
		s := &sources{}
		if len(c.URLs) > 0 {
			s.list = append(s.list, source{"argument", argumentSeeds(c.URLs)})
		}
		switch {
		case file == nil:
		case c.Seeds == "-":
			s.list = append(s.list, source{"standard input", seedLines(untilDone(ctx, file))})
		case !isRegular(c.Seeds): // a pipe may have nothing to say for as long as it likes
			s.list = append(s.list, source{c.Seeds, seedLines(untilDone(ctx, file))})
		default:
			s.list = append(s.list, source{c.Seeds, seedLines(file)})
		}
		return s
	}, again
}

// config is what the settings mean to the crawler.
func (s *settings) config() (crawler.Config, error) {
	cfg := crawler.Config{
		Scope:        s.Scope.ScopeKind,
		Include:      regexps(s.Include),
		Exclude:      regexps(s.Exclude),
		URLs:         s.URLRules.with(s.DropParam),
		URLLimits:    crawler.URLLimits{Length: limit(s.MaxURLLength), PathDepth: limit(s.MaxPathDepth), Repeats: limit(s.MaxRepeats)},
		MaxPages:     int64(s.MaxPages),
		MaxDepth:     int(s.MaxDepth),
		MaxBytes:     int64(s.MaxBytes),
		HostPages:    int64(s.HostPages),
		HostBytes:    int64(s.HostBytes),
		HostTime:     time.Duration(s.HostTime),
		MaxTime:      time.Duration(s.MaxTime),
		Delay:        time.Duration(s.Delay),
		AddressDelay: time.Duration(s.AddressDelay),
		Adaptive:     crawler.Adaptive{Factor: float64(s.AdaptiveDelay)},
		PerHost:      int(s.PerHost),
		Concurrency:  int(s.Concurrency),
		Rate:         float64(s.Rate),
		UserAgent:    s.UserAgent,
		Robots: crawler.RobotsPolicy{
			Ignore: s.Robots == robotsIgnore, MaxStale: time.Duration(s.RobotsStale),
			Nofollow: s.Nofollow.Nofollow, DropNoindex: s.Noindex == noindexDrop,
		},
		Sitemaps:     s.Sitemaps.Sitemaps,
		Follow:       s.Follow.Kind,
		NoBodies:     s.NoBodies,
		Timeout:      time.Duration(s.Timeout),
		MaxBody:      int64(s.MaxBody),
		ProxyPolicy:  s.ProxyPolicy.ProxyPolicy,
		Header:       header(s.Header),
		AllowPrivate: s.AllowPrivate,
		HostFailures: int(min(s.HostFailures, math.MaxInt32)),
		DiskReserve:  int64(s.DiskReserve),
		Memory:       int64(s.Memory),
		Control:      true,
		TrustLastmod: s.TrustLastmod,
		Revisit:      s.Revisit.with(s),
		Cache:        s.cache(),
	}
	if cfg.Robots.MaxStale == 0 {
		cfg.Robots.MaxStale = -1
	}
	proxies, err := s.proxies()
	if err != nil {
		return cfg, err
	}
	cfg.Proxies = proxies
	if s.WARC {
		cfg.WARC = s.archives()
	}
	cfg.Novelty = crawler.Novelty{Pages: int(s.Novelty), Similar: s.Similar}
	if s.Novelty == 0 {
		cfg.Novelty.Pages = -1
	}
	if cfg.Delay == 0 {
		cfg.Delay = crawler.NoDelay
	}
	if cfg.HostFailures == 0 {
		cfg.HostFailures = -1
	}
	if cfg.Timeout == 0 {
		return cfg, &failure{exitUsage, errors.New("--timeout: must be longer than 0s"), ""}
	}
	return cfg, nil
}

// limit is a limit as the crawler takes it: 0 means none here, and the default
// there.
func limit(n count) int {
	if n == 0 {
		return -1
	}
	return int(n)
}

func regexps(patterns []pattern) []*regexp.Regexp {
	var list []*regexp.Regexp
	for _, p := range patterns {
		list = append(list, p.Regexp)
	}
	return list
}

func header(fields []headerField) http.Header {
	if len(fields) == 0 {
		return nil
	}
	h := http.Header{}
	for _, f := range fields {
		h.Add(f.name, f.value)
	}
	return h
}

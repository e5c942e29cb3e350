package crawler

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/httpclient"
)

// Site says what is different for some hosts. Of several sites that a host
// belongs to, the most specific alone counts: one that names the host and its
// port before one that names the host, and the longest domain before a shorter
// one. Finding it costs the same for one site and for a hundred thousand.
type Site struct {
	// Hosts are patterns as Condition.Hosts has them, but without stars elsewhere
	// than in "*.example.org": "example.org" is that host, ".example.org" that and
	// all below it, "*" every host. No two sites have the same.
	Hosts []string `json:"hosts"`

	Delay   time.Duration `json:"delay,omitzero"`    // in place of Config.Delay. Zero: that; negative: none
	PerHost int           `json:"per_host,omitzero"` // in place of Config.PerHost. Zero: that

	// MaxPages, MaxBytes and MaxTime limit what is fetched of each of the hosts,
	// over all runs of the job, as frontier.Policy tells. Zero: no limit of the
	// site's own.
	MaxPages int64         `json:"max_pages,omitzero"`
	MaxBytes int64         `json:"max_bytes,omitzero"`
	MaxTime  time.Duration `json:"max_time,omitzero"`

	// Header is sent with each request for a page of the hosts, and to no other
	// host, wherever they redirect; a field replaces that of Config.Header of the
	// same name. Nil: nothing more.
	Header http.Header `json:"-"`

	// Auth is what the hosts want to know of who asks. Nil: nothing.
	Auth *Auth `json:"-"`

	// Login begins a session with the hosts. Nil: none is needed.
	Login *Login `json:"-"`

	UserAgent    string `json:"user_agent,omitempty"`    // in place of Config.UserAgent. Empty: that
	IgnoreRobots bool   `json:"ignore_robots,omitempty"` // fetches without asking robots.txt
	NoFollow     bool   `json:"no_follow,omitempty"`     // leaves the links of the hosts' pages alone

	// Rules are asked about the URLs of the hosts, after Config.Rules.
	Rules []Rule `json:"rules,omitempty"`
}

// site is a compiled Site.
type site struct {
	Site
	index int // in Config.Sites
	rules []rule
	agent string
	login *loginState // nil: none
}

// usual is the site of hosts that belong to none.
var usual = site{index: -1}

// sites find what is different for a host.
type sites struct {
	table      hostTable[*site]
	any        bool                  // there are some
	auth       map[string]credential // by origin
	haveRules  bool
	haveLogins bool
	logins     []*loginState
}

// compileSites fails with a *ConfigError.
func compileSites(cfg *Config, compile func(Rule, string) (rule, error)) (sites, error) {
	s := sites{any: len(cfg.Sites) > 0}
	for i := range cfg.Sites {
		field := fmt.Sprintf("Sites[%d]", i)
		one := &site{Site: cfg.Sites[i], index: i}
		if err := one.Validate(); err != nil {
			return s, &ConfigError{field, err.Error()}
		}
		if one.Login != nil {
			one.login = newLoginState(&one.Site)
			s.haveLogins, s.logins = true, append(s.logins, one.login)
		}
		if err := s.addAuth(&one.Site); err != nil {
			return s, &ConfigError{field, err.Error()}
		}
		if one.UserAgent != "" {
			one.agent = agentName(one.UserAgent)
		}
		for n, r := range one.Rules {
			c, err := compile(cfg.URLLimits.within(r), fmt.Sprintf("%s.Rules[%d]", field, n))
			if err != nil {
				return s, err
			}
			one.rules = append(one.rules, c)
		}
		s.haveRules = s.haveRules || len(one.rules) > 0
		for _, text := range one.Hosts {
			p, err := parseHostPattern(text)
			if err != nil {
				return s, &ConfigError{field, err.Error()}
			}
			if !s.table.add(p, one) {
				return s, &ConfigError{field, fmt.Sprintf("%q is the host of another site, too", text)}
			}
		}
	}
	return s, nil
}

// checkHeader refuses what cannot be sent with a request for a page.
func checkHeader(h http.Header) error {
	for name, values := range h {
		for _, v := range values {
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(v) {
				return fmt.Errorf("%q: %q is no header field", name, v)
			}
		}
		switch http.CanonicalHeaderKey(name) {
		case "Content-Length", "Transfer-Encoding", "Trailer", "Expect":
			return fmt.Errorf("%s tells of a body, which a request for a page does not have", name)
		case "Upgrade":
			return fmt.Errorf("%s asks for another protocol, which the crawler does not speak", name)
		}
	}
	return nil
}

// Validate says what is wrong with the site, or returns nil.
func (s *Site) Validate() error {
	if len(s.Hosts) == 0 {
		return errors.New("names no host")
	}
	for _, text := range s.Hosts {
		p, err := parseHostPattern(text)
		switch {
		case err != nil:
			return err
		case p.shape == hostGlob && p.name != "*":
			return fmt.Errorf("%q has a star where a site may have none: write example.org, .example.org or *.example.org", text)
		}
	}
	for _, r := range s.Rules {
		if err := r.Validate(); err != nil {
			return fmt.Errorf("rules: %w", err)
		}
	}
	if err := checkHeader(s.Header); err != nil {
		return err
	}
	if s.Login != nil {
		if err := s.Login.validate(); err != nil {
			return err
		}
	}
	if s.Auth != nil {
		if _, err := s.Auth.field(); err != nil {
			return err
		}
		if _, err := s.Auth.origins(s.Hosts); err != nil {
			return err
		}
	}
	switch {
	case s.PerHost < 0 || s.MaxPages < 0 || s.MaxBytes < 0 || s.MaxTime < 0:
		return errors.New("has a negative limit")
	case strings.ContainsAny(s.UserAgent, "\r\n\x00"):
		return errors.New("the user agent must be one line")
	}
	return nil
}

// of returns the site of a host, with its port if that is not the usual one.
func (s *sites) of(host string) *site {
	if !s.any {
		return &usual
	}
	name, port := splitHost(host)
	name = strings.Trim(name, "[]")
	if one, ok := s.table.find(name, port); ok {
		return one
	}
	return &usual
}

// policy is what the frontier is to know of a host, given what it would be
// without sites; nil if that is nothing.
func (s *sites) policy(without func(string) frontier.Policy) func(string) frontier.Policy {
	if !s.any {
		return without
	}
	return func(host string) (p frontier.Policy) {
		if without != nil {
			p = without(host)
		}
		one := s.of(host)
		p.Delay = orDefault(one.Delay, p.Delay)
		p.PerHost = orDefault(one.PerHost, p.PerHost)
		p.MaxPages = orDefault(one.MaxPages, p.MaxPages)
		p.MaxBytes = orDefault(one.MaxBytes, p.MaxBytes)
		p.MaxTime = orDefault(one.MaxTime, p.MaxTime)
		return p
	}
}

// delay is the least time between two requests to the site, but for what robots
// ask.
func (s *site) delay(usual time.Duration) time.Duration {
	if s.Delay == 0 {
		return usual
	}
	return max(0, s.Delay)
}

// dress adds the site's own fields to the request for a page.
func (s *site) dress(req *httpclient.Request) {
	for _, name := range slices.Sorted(maps.Keys(s.Header)) {
		req.Header.Del(name)
		for _, v := range s.Header[name] {
			req.Header = append(req.Header, httpclient.Field{Name: name, Value: v})
		}
	}
}

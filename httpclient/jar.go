package httpclient

import (
	"container/list"
	"iter"
	"math"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Defaults of [JarConfig].
const (
	DefaultMaxCookies          = 100_000
	DefaultMaxCookiesPerDomain = 180
	DefaultMaxCookieLifetime   = 400 * 24 * time.Hour // RFC 6265bis section 5.5
)

// JarConfig is what a [Jar] is made with. Its zero value is a good jar.
type JarConfig struct {
	// AllowIP lets hosts named by an IP address set and get cookies. Without it
	// their cookies are refused, and counted.
	AllowIP bool

	// TrustHTTP reports whether a URL that is not https is as good as one for Secure
	// cookies, such as that of a server on the same machine. It must not change the
	// URL. nil: none is.
	TrustHTTP func(*url.URL) bool

	// PublicSuffix says under which domains people register their own, so that no
	// site can set a cookie for all of them. nil: the list of
	// golang.org/x/net/publicsuffix.
	PublicSuffix cookiejar.PublicSuffixList

	// MaxCookies bounds the cookies of the jar; beyond it the least recently used
	// domain loses some. 0: DefaultMaxCookies; negative: no bound.
	MaxCookies int

	// MaxPerDomain bounds the cookies of a registrable domain with all its hosts;
	// beyond it the least recently used go. 0: DefaultMaxCookiesPerDomain;
	// negative: no bound.
	MaxPerDomain int

	// MaxLifetime bounds how long a cookie lives whatever it asks for.
	// 0: DefaultMaxCookieLifetime; negative: no bound.
	MaxLifetime time.Duration

	// Now tells the time. nil: time.Now.
	Now func() time.Time
}

// Entry is a cookie as a [Jar] keeps it.
type Entry struct {
	Name, Value string        // as received
	Domain      string        // in lower case and ASCII, no leading dot; "": shared, goes to every host
	Path        string        // starts with "/"
	Expires     time.Time     // zero: when the session ends, that is never by itself
	Created     time.Time     //
	HostOnly    bool          // goes to Domain only, not to the hosts below it
	Secure      bool          // goes by https only
	HTTPOnly    bool          // told by the server; a jar has no use for it
	SameSite    http.SameSite // likewise
}

// Refusal is why a jar did not take a cookie.
type Refusal uint8

// Reasons to refuse a cookie.
const (
	accepted            Refusal = iota
	RefusedMalformed            // no name, no "=", or a control character
	RefusedTooLarge             // name and value over 4096 bytes
	RefusedDomain               // its Domain is not the host's or one above it
	RefusedPublicSuffix         // its Domain is a public suffix
	RefusedIPHost               // the host is an IP address, without AllowIP
	RefusedInsecure             // Secure, or in the way of a Secure one, but not from https
	RefusedPrefix               // "__Secure-" or "__Host-" without what the name promises
	RefusedURL                  // no host in the URL, or not a name
	refusals                    // how many there are
)

func (r Refusal) String() string {
	return [...]string{
		"accepted", "malformed", "too large", "foreign domain", "public suffix", "host is an IP address",
		"secure cookie from an insecure origin", "name prefix not honoured", "URL without a host name", "",
	}[r]
}

// JarStats counts what happened in a jar.
type JarStats struct {
	Cookies int                // kept, some of them perhaps expired
	Domains int                // registrable domains they belong to
	Evicted uint64             // dropped because of MaxCookies or MaxPerDomain
	Refused map[Refusal]uint64 // not taken, by reason
}

// Jar is a [CookieJar] in memory, after RFC 6265 and RFC 6265bis: cookies go back
// in the bytes in which they came, those with the longest path first, then the
// oldest; a site cannot set cookies for others or for a public suffix, nor over
// http for https.
//
// Where the two differ a cookie without a name is refused (6265), and a Domain
// without a value is ignored (6265). SameSite is kept but not acted upon: a client
// has no page from whose site it comes.
//
// A jar is bounded in cookies a domain and in all, and may be used from many
// goroutines. There is nothing to close.
type Jar struct {
	allowIP     bool
	trustHTTP   func(*url.URL) bool // nil: nobody
	suffixes    cookiejar.PublicSuffixList
	maxCookies  int
	perDomain   int
	maxLifetime time.Duration
	now         func() time.Time

	mu     sync.Mutex
	sites  map[string]*site // by registrable domain; shared cookies under ""
	recent *list.List       // of *site, most recently used first, without the shared
	count  int              // cookies in all sites
	clock  uint64           // counts creations and uses
	puts   uint64           // counts cookies set, replaced and removed by servers
	stats  struct {
		evicted uint64
		refused [refusals]uint64
	}
}

var _ CookieJar = (*Jar)(nil)

// site is what a jar keeps for one registrable domain.
type site struct {
	key     string
	element *list.Element
	cookies []*cookie // longest path first, then oldest
}

type cookie struct {
	Entry
	pair  string // "name=value", as it is sent; Name and Value are parts of it
	order uint64 // of creation
	used  uint64 // last
}

// NewCookieJar returns an empty jar.
func NewCookieJar(cfg JarConfig) *Jar {
	j := &Jar{
		allowIP:     cfg.AllowIP,
		trustHTTP:   cfg.TrustHTTP,
		suffixes:    cfg.PublicSuffix,
		maxCookies:  int(min(limitOr(int64(cfg.MaxCookies), DefaultMaxCookies), math.MaxInt)),
		perDomain:   int(min(limitOr(int64(cfg.MaxPerDomain), DefaultMaxCookiesPerDomain), math.MaxInt)),
		maxLifetime: time.Duration(limitOr(int64(cfg.MaxLifetime), int64(DefaultMaxCookieLifetime))),
		now:         cfg.Now,
		sites:       make(map[string]*site),
		recent:      list.New(),
	}
	if j.suffixes == nil {
		j.suffixes = publicsuffix.List
	}
	if j.now == nil {
		j.now = time.Now
	}
	return j
}

// origin is what a jar wants to know of a URL.
type origin struct {
	host   string // lower case ASCII, no port, no trailing dot
	key    string // its registrable domain
	path   string
	isIP   bool
	secure bool
}

func (j *Jar) origin(u *url.URL) (o origin, ok bool) {
	host, ok := canonicalHost(u.Hostname())
	if !ok {
		return o, false
	}
	o = origin{host: host, key: host, path: u.EscapedPath(), secure: isSecure(u.Scheme) || j.trustHTTP != nil && j.trustHTTP(u)}
	if o.path == "" || o.path[0] != '/' {
		o.path = "/"
	}
	if o.isIP = isIP(host); !o.isIP {
		o.key = j.registrable(host)
	}
	return o, true
}

func isSecure(scheme string) bool { return scheme == "https" || scheme == "wss" }

// canonicalHost is section 5.1.2 of RFC 6265, without the root's dot: the one form
// of a name, which is its own. Names with an empty label or with a character that
// no host has in a URL are refused.
func canonicalHost(host string) (string, bool) {
	if strings.IndexFunc(host, func(r rune) bool { return r >= 0x80 }) >= 0 {
		ascii, err := idna.Lookup.ToASCII(host) // which makes dots of "。" and its kin
		if err != nil {
			return "", false
		}
		host = ascii
	}
	host = strings.TrimSuffix(host, ".")
	plain, label := true, 0
	for i := range len(host) {
		c := host[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-':
		case c == '.':
			if i == label {
				return "", false
			}
			label = i + 1
		case c <= ' ' || c == 0x7f || strings.IndexByte("\"#/;<>?@[\\]^`{|}", c) >= 0:
			return "", false
		case 'A' <= c && c <= 'Z':
			plain = false
		}
	}
	if !plain {
		host = strings.ToLower(host)
	}
	return host, label < len(host)
}

// isIP reports whether host is an address, which no name can look like: its last
// label starts with a digit, or it has a colon.
func isIP(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if (last == "" || last[0] < '0' || last[0] > '9') && strings.IndexByte(host, ':') < 0 {
		return false
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

// registrable returns the public suffix of host and the label before it.
func (j *Jar) registrable(host string) string {
	suffix := j.suffixes.PublicSuffix(host)
	i := len(host) - len(suffix)
	if i <= 0 || host[i-1] != '.' {
		return host // it is a suffix itself, or the list is of no use
	}
	return host[strings.LastIndexByte(host[:i-1], '.')+1:]
}

// SetFromHeader stores the cookies of Set-Cookie values received from u.
func (j *Jar) SetFromHeader(u *url.URL, lines []string) { setEach(j, u, lines, parseSetCookie) }

// SetCookies stores cookies that came from u; without a URL they are shared.
func (j *Jar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	if u == nil {
		j.SetShared(cookies...)
		return
	}
	setEach(j, u, cookies, setCookieOf)
}

// setEach stores what read makes of each of the cookies from u.
func setEach[T any](j *Jar, u *url.URL, cookies []T, read func(T) (setCookie, Refusal)) {
	if len(cookies) == 0 {
		return
	}
	o, ok := j.origin(u)
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.now()
	for _, c := range cookies {
		refused := RefusedURL
		if ok {
			var sc setCookie
			if sc, refused = read(c); refused == accepted {
				refused = j.set(o, &sc, now)
			}
		}
		j.stats.refused[refused]++
	}
}

// SetShared stores cookies that go to every host. Their Domain does not matter;
// a new one replaces that of the same name and path.
func (j *Jar) SetShared(cookies ...*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.now()
	for _, c := range cookies {
		sc, refused := setCookieOf(c)
		if refused == accepted {
			if sc.path == "" {
				sc.path = "/"
			}
			j.put("", &cookie{Entry: j.entry(&sc, now)}, now)
		}
		j.stats.refused[refused]++
	}
}

// setCookieOf checks a cookie that did not come through the parser.
func setCookieOf(c *http.Cookie) (sc setCookie, refused Refusal) {
	value := rawValue(c)
	if c.Name == "" || strings.ContainsAny(c.Name, "=;") || strings.Contains(value, ";") ||
		hasControl(c.Name) || hasControl(value) || hasControl(c.Path) {
		return sc, RefusedMalformed
	}
	if len(c.Name)+len(value) > maxCookieSize {
		return sc, RefusedTooLarge
	}
	sc = setCookie{
		name: c.Name, value: value, secure: c.Secure, httpOnly: c.HttpOnly, sameSite: c.SameSite,
		domain: strings.ToLower(strings.TrimPrefix(c.Domain, ".")),
	}
	if strings.HasPrefix(c.Path, "/") {
		sc.path = c.Path
	}
	if c.MaxAge != 0 {
		sc.hasMaxAge = true
		sc.maxAge = min(time.Duration(c.MaxAge), maxCookieAge/time.Second) * time.Second
	}
	if !c.Expires.IsZero() {
		sc.expires, sc.hasExpires = c.Expires, true
	}
	return sc, accepted
}

// entry makes an Entry of what does not depend on the origin.
func (j *Jar) entry(sc *setCookie, now time.Time) Entry {
	e := Entry{
		Name: sc.name, Value: sc.value, Path: sc.path, Created: now,
		Secure: sc.secure, HTTPOnly: sc.httpOnly, SameSite: sc.sameSite,
	}
	switch {
	case sc.hasMaxAge && sc.maxAge <= 0:
		e.Expires = time.Unix(0, 0)
	case sc.hasMaxAge:
		e.Expires = now.Add(min(sc.maxAge, j.maxLifetime))
	case sc.hasExpires:
		e.Expires = sc.expires
		if e.Expires.Sub(now) > j.maxLifetime {
			e.Expires = now.Add(j.maxLifetime)
		}
	}
	return e
}

// set is the storage model of RFC 6265bis section 5.7.
func (j *Jar) set(o origin, sc *setCookie, now time.Time) Refusal {
	if o.isIP && !j.allowIP {
		return RefusedIPHost
	}
	e := j.entry(sc, now)
	e.Domain, e.HostOnly = o.host, true
	if sc.domain != "" && sc.domain != o.host {
		domain, ok := canonicalDomain(sc.domain)
		if !ok || o.isIP || domain != o.host && !isSubdomain(o.host, domain) {
			return RefusedDomain
		}
		e.Domain, e.HostOnly = domain, false
	} else if sc.domain != "" {
		e.HostOnly = o.isIP
	}
	if !e.HostOnly && j.suffixes.PublicSuffix(e.Domain) == e.Domain {
		if e.Domain != o.host {
			return RefusedPublicSuffix
		}
		e.HostOnly = true
	}
	if e.Path == "" {
		e.Path = defaultPath(o.path)
	}
	if !o.secure && (e.Secure || j.shadowsSecure(o, &e, now)) {
		return RefusedInsecure
	}
	if !prefixHonoured(&e, sc) {
		return RefusedPrefix
	}
	j.put(o.key, &cookie{Entry: e}, now)
	return accepted
}

// canonicalDomain is canonicalHost for a Domain attribute, where a trailing dot
// does not belong.
func canonicalDomain(domain string) (string, bool) {
	if strings.HasSuffix(domain, ".") {
		return "", false
	}
	return canonicalHost(domain)
}

func isSubdomain(host, domain string) bool {
	n := len(host) - len(domain)
	return n > 0 && host[n-1] == '.' && host[n:] == domain
}

// defaultPath is section 5.1.4 of RFC 6265.
func defaultPath(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

// shadowsSecure reports whether e, from an insecure origin, would stand in the
// way of a Secure cookie.
func (j *Jar) shadowsSecure(o origin, e *Entry, now time.Time) bool {
	s := j.sites[o.key]
	if s == nil {
		return false
	}
	return slices.ContainsFunc(s.cookies, func(c *cookie) bool {
		return c.Secure && c.Name == e.Name && !c.expired(now) && pathMatch(e.Path, c.Path) &&
			(c.Domain == e.Domain || isSubdomain(c.Domain, e.Domain) || isSubdomain(e.Domain, c.Domain))
	})
}

// prefixHonoured is RFC 6265bis section 5.4: names that promise something.
func prefixHonoured(e *Entry, sc *setCookie) bool {
	switch {
	case hasPrefixFold(e.Name, "__Secure-"):
		return e.Secure
	case hasPrefixFold(e.Name, "__Host-"):
		return e.Secure && sc.domain == "" && sc.path == "/"
	}
	return true
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && equalFoldASCII(s[:len(prefix)], prefix)
}

// put stores c under key, in place of the cookie of the same name, domain and
// path, whose age it inherits; or removes that if c has expired.
func (j *Jar) put(key string, c *cookie, now time.Time) {
	j.clock++
	j.puts++
	c.order, c.used = j.clock, j.clock
	s := j.sites[key]
	old := j.removeSame(s, c)
	c.own(old)
	if old != nil && !old.expired(now) {
		c.order, c.Created = old.order, old.Created
	}
	if c.expired(now) {
		j.dropIfEmpty(s)
		return
	}
	if s == nil {
		s = &site{key: strings.Clone(key)}
		j.sites[s.key] = s
		if key != "" {
			s.element = j.recent.PushFront(s)
		}
	} else {
		j.touch(s)
	}
	for len(s.cookies) >= j.perDomain {
		j.evictFrom(s, now)
	}
	i, _ := slices.BinarySearchFunc(s.cookies, c, compareCookies)
	s.cookies = slices.Insert(s.cookies, i, c)
	j.count++
	for j.count > j.maxCookies && j.recent.Len() > 0 {
		oldest := j.recent.Back().Value.(*site)
		j.evictFrom(oldest, now)
		j.dropIfEmpty(oldest)
	}
}

// removeSame takes the cookie of the same name, domain and path as c out of s.
func (j *Jar) removeSame(s *site, c *cookie) *cookie {
	if s == nil {
		return nil
	}
	for i, old := range s.cookies {
		if old.Name == c.Name && old.Domain == c.Domain && old.Path == c.Path && old.HostOnly == c.HostOnly {
			j.remove(s, i)
			return old
		}
	}
	return nil
}

// own makes c's strings its own: they are parts of longer ones, a Set-Cookie value
// and a URL, and a cookie lives long. Those of old, if there is one, are shared.
func (c *cookie) own(old *cookie) {
	if old != nil {
		c.Domain, c.Path = old.Domain, old.Path
	} else {
		c.Domain, c.Path = strings.Clone(c.Domain), strings.Clone(c.Path)
	}
	if old != nil && c.Value == old.Value {
		c.pair = old.pair
	} else {
		c.pair = c.Name + "=" + c.Value
	}
	n := len(c.Name)
	c.Name, c.Value = c.pair[:n], c.pair[n+1:]
}

// compareCookies orders cookies as they are sent: RFC 6265 section 5.4.
func compareCookies(a, b *cookie) int {
	if d := len(b.Path) - len(a.Path); d != 0 {
		return d
	}
	switch {
	case a.order < b.order:
		return -1
	case a.order > b.order:
		return 1
	}
	return 0
}

func (c *cookie) expired(now time.Time) bool { return !c.Expires.IsZero() && !c.Expires.After(now) }

func (j *Jar) touch(s *site) {
	if s.element != nil {
		j.recent.MoveToFront(s.element)
	}
}

func (j *Jar) remove(s *site, i int) {
	s.cookies = slices.Delete(s.cookies, i, i+1)
	j.count--
}

// evictFrom makes room in s: the expired cookies go, or else the least recently
// used one.
func (j *Jar) evictFrom(s *site, now time.Time) {
	if j.purge(s, now) > 0 || len(s.cookies) == 0 {
		return
	}
	oldest := 0
	for i, c := range s.cookies {
		if c.used < s.cookies[oldest].used {
			oldest = i
		}
	}
	j.remove(s, oldest)
	j.stats.evicted++
}

// purge removes the expired cookies of s.
func (j *Jar) purge(s *site, now time.Time) int {
	before := len(s.cookies)
	s.cookies = slices.DeleteFunc(s.cookies, func(c *cookie) bool { return c.expired(now) })
	gone := before - len(s.cookies)
	j.count -= gone
	return gone
}

func (j *Jar) dropIfEmpty(s *site) {
	if s == nil || len(s.cookies) > 0 {
		return
	}
	delete(j.sites, s.key)
	if s.element != nil {
		j.recent.Remove(s.element)
	}
}

// matches calls yield for each cookie that goes to u, in the order of sending.
func (j *Jar) matches(u *url.URL, yield func(*cookie)) {
	o, ok := j.origin(u)
	if !ok {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	own, shared := j.sites[o.key], j.sites[""]
	if o.isIP && !j.allowIP {
		own = nil
	}
	if own == nil && shared == nil {
		return
	}
	now := j.now()
	j.clock++
	for _, s := range [...]*site{own, shared} {
		if s != nil {
			j.touch(s)
			j.matchesOf(s, o, now, yield)
		}
	}
}

func (j *Jar) matchesOf(s *site, o origin, now time.Time, yield func(*cookie)) {
	stale := false
	for _, c := range s.cookies {
		if c.expired(now) {
			stale = true
			continue
		}
		if c.Secure && !o.secure || !pathMatch(o.path, c.Path) || !c.goesTo(o.host) {
			continue
		}
		c.used = j.clock
		yield(c)
	}
	if stale {
		j.purge(s, now)
		j.dropIfEmpty(s)
	}
}

func (c *cookie) goesTo(host string) bool {
	switch {
	case c.Domain == host, c.Domain == "":
		return true
	case c.HostOnly:
		return false
	}
	return isSubdomain(host, c.Domain)
}

// pathMatch is section 5.1.4 of RFC 6265.
func pathMatch(path, cookiePath string) bool {
	if !strings.HasPrefix(path, cookiePath) {
		return false
	}
	return len(path) == len(cookiePath) || cookiePath[len(cookiePath)-1] == '/' || path[len(cookiePath)] == '/'
}

// AppendHeader appends the value of the Cookie field for a request to u to dst.
func (j *Jar) AppendHeader(dst []byte, u *url.URL) []byte {
	start := len(dst)
	j.matches(u, func(c *cookie) {
		if len(dst) > start {
			dst = append(dst, "; "...)
		}
		dst = append(dst, c.pair...)
	})
	return dst
}

// Cookies returns the cookies that go to u, with name and value alone, in the
// order of sending.
func (j *Jar) Cookies(u *url.URL) []*http.Cookie {
	var list []*http.Cookie
	j.matches(u, func(c *cookie) { list = append(list, &http.Cookie{Name: c.Name, Value: c.Value}) })
	return list
}

// Len returns how many cookies the jar keeps, after dropping the expired ones.
func (j *Jar) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.purgeAll()
	return j.count
}

func (j *Jar) purgeAll() {
	now := j.now()
	for _, s := range j.sites {
		j.purge(s, now)
		j.dropIfEmpty(s)
	}
}

// All yields copies of the cookies that the jar keeps when the loop starts, in
// the order in which they were created.
func (j *Jar) All() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		for _, e := range j.snapshot() {
			if !yield(e) {
				return
			}
		}
	}
}

func (j *Jar) snapshot() []*Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.purgeAll()
	cookies := make([]*cookie, 0, j.count)
	for _, s := range j.sites {
		cookies = append(cookies, s.cookies...)
	}
	slices.SortFunc(cookies, func(a, b *cookie) int {
		if a.order < b.order {
			return -1
		}
		return 1
	})
	entries := make([]*Entry, len(cookies))
	for i, c := range cookies {
		e := c.Entry
		entries[i] = &e
	}
	return entries
}

// Clear removes the cookies for which remove says so, all of them if it is nil,
// and returns how many went. remove must not use the jar or change the entry.
func (j *Jar) Clear(remove func(*Entry) bool) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	before := j.count
	for _, s := range j.sites {
		j.clearFrom(s, remove)
	}
	return before - j.count
}

func (j *Jar) clearFrom(s *site, remove func(*Entry) bool) {
	for i := len(s.cookies) - 1; i >= 0; i-- {
		if remove == nil || remove(&s.cookies[i].Entry) {
			j.remove(s, i)
		}
	}
	j.dropIfEmpty(s)
}

// ClearDomain removes the cookies of domain and of the hosts below it, and returns
// how many went.
func (j *Jar) ClearDomain(domain string) int {
	domain, ok := canonicalHost(strings.TrimPrefix(domain, "."))
	if !ok {
		return 0
	}
	return j.Clear(func(e *Entry) bool { return e.Domain == domain || isSubdomain(e.Domain, domain) })
}

// Stats counts what the jar keeps and what it has refused.
func (j *Jar) Stats() JarStats {
	j.mu.Lock()
	defer j.mu.Unlock()
	stats := JarStats{Cookies: j.count, Evicted: j.stats.evicted, Domains: j.recent.Len(), Refused: make(map[Refusal]uint64)}
	for r, n := range j.stats.refused {
		if Refusal(r) != accepted && n > 0 {
			stats.Refused[Refusal(r)] = n
		}
	}
	return stats
}

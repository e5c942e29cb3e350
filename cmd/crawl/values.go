package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// The types of the flags. Each reads itself with UnmarshalText, whose error
// follows the flag's name, and prints with String what UnmarshalText reads.

// count is a number of things; 0 means no limit.
type count int64

func (n *count) UnmarshalText(text []byte) error {
	v, err := strconv.ParseInt(strings.ReplaceAll(string(text), "_", ""), 10, 64)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is no whole number from 0 up", text)
	}
	*n = count(v)
	return nil
}

func (n count) String() string { return strconv.FormatInt(int64(n), 10) }

// positive is a number of things of which there must be one.
type positive int

func (n *positive) UnmarshalText(text []byte) error {
	v, err := strconv.ParseInt(string(text), 10, 32)
	if err != nil || v < 1 {
		return fmt.Errorf("%q is no whole number from 1 up", text)
	}
	*n = positive(v)
	return nil
}

func (n positive) String() string { return strconv.Itoa(int(n)) }

// rate is a number a second; 0 means no limit.
type rate float64

func (r *rate) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(v >= 0) || math.IsInf(v, 0) {
		return fmt.Errorf("%q is no number from 0 up", text)
	}
	*r = rate(v)
	return nil
}

func (r rate) String() string { return strconv.FormatFloat(float64(r), 'g', -1, 64) }

// duration is a time from 0 up, as Go writes it.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is no time: write 500ms, 90s or 1h30m", text)
	}
	*d = duration(v)
	return nil
}

func (d duration) String() string { return time.Duration(d).String() }

// hostDelay is a time that a host is to be left alone for, 0 for the default.
type hostDelay time.Duration

func (d *hostDelay) UnmarshalText(text []byte) error {
	if string(text) == "default" {
		*d = 0
		return nil
	}
	var v duration
	if err := v.UnmarshalText(text); err != nil {
		return fmt.Errorf("%w, or default", err)
	}
	*d = hostDelay(v)
	return nil
}

// span is a time that may be long: also in days, as in 1d or 1d12h.
type span time.Duration

func (s *span) UnmarshalText(text []byte) error {
	d, err := parseSpan(string(text))
	*s = span(d)
	return err
}

func (s span) String() string { return formatSpan(time.Duration(s)) }

func parseSpan(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	wrong := fmt.Errorf("%q is no time: write 90s, 1h30m or 30d", text)
	rest, total := text, time.Duration(0)
	if number, after, found := strings.Cut(text, "d"); found {
		days, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return 0, wrong
		}
		if rest, total = after, time.Duration(days)*day; rest == "" {
			return total, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || d > math.MaxInt64-total {
		return 0, wrong
	}
	return total + d, nil
}

// formatSpan writes a time as parseSpan reads it.
func formatSpan(d time.Duration) string {
	const day = 24 * time.Hour
	days, rest := d/day, d%day
	if days == 0 || days > math.MaxUint16 {
		return d.String()
	}
	if rest == 0 {
		return fmt.Sprintf("%dd", days)
	}
	return fmt.Sprintf("%dd%v", days, rest)
}

// directory is the path of a directory; there is none without a name, as of a
// variable that is not set.
type directory string

func (d *directory) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New(`"" is no directory`)
	}
	*d = directory(text)
	return nil
}

// filePath is the path of a file or directory, "" for none. It prints as it is
// called from any directory, so that a job means the same one wherever it is
// resumed.
type filePath string

func (p *filePath) UnmarshalText(text []byte) error {
	*p = filePath(text)
	return nil
}

func (p filePath) String() string { return absolute(string(p)) }

// absolute is path as it is called from any directory; "" stays.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil && path != "" {
		return abs
	}
	return path
}

// fileName is part of the name of a file.
type fileName string

func (n *fileName) UnmarshalText(text []byte) error {
	if strings.ContainsAny(string(text), "/\\\x00") {
		return fmt.Errorf("%q is no part of a file name", text)
	}
	*n = fileName(text)
	return nil
}

// revisitRange is between how many times pages are visited again: MIN..MAX, MAX
// alone, or off.
type revisitRange struct{ min, max span } // max 0: off

func (r *revisitRange) UnmarshalText(text []byte) error {
	*r = revisitRange{}
	if string(text) == "off" {
		return nil
	}
	least, most, found := strings.Cut(string(text), "..")
	if !found {
		least, most = "", least
	}
	var err error
	if err = r.max.UnmarshalText([]byte(most)); err == nil && least != "" {
		err = r.min.UnmarshalText([]byte(least))
	}
	if err != nil || r.max <= 0 || found && r.min <= 0 {
		return fmt.Errorf("%q is no range of times: write 1h..30d, 30d for the longest alone, or off", text)
	}
	if r.min > r.max {
		return fmt.Errorf("%q begins with the longer time: write %s..%s", text, most, least)
	}
	return nil
}

func (r revisitRange) String() string {
	switch {
	case r.max == 0:
		return "off"
	case r.min == 0:
		return r.max.String()
	}
	return r.min.String() + ".." + r.max.String()
}

// size is a number of bytes, from 1 up.
type size int64

var sizeUnits = map[string]float64{
	"": 1, "b": 1,
	"k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12,
	"ki": 1 << 10, "kib": 1 << 10, "mi": 1 << 20, "mib": 1 << 20, "gi": 1 << 30, "gib": 1 << 30, "ti": 1 << 40, "tib": 1 << 40,
}

func (s *size) UnmarshalText(text []byte) error {
	digits := strings.TrimRight(string(text), "bkmgtiBKMGTI ")
	unit := strings.ToLower(strings.TrimSpace(string(text)[len(digits):]))
	factor, known := sizeUnits[unit]
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || !known || !(v*factor >= 1) || v*factor >= math.MaxInt64 {
		return fmt.Errorf("%q is no size: write a number of bytes, 512k, 10MB or 1GiB", text)
	}
	*s = size(v * factor)
	return nil
}

func (s size) String() string {
	for _, u := range []struct {
		bytes size
		name  string
	}{{1 << 30, "GiB"}, {1e9, "GB"}, {1 << 20, "MiB"}, {1e6, "MB"}, {1 << 10, "KiB"}, {1e3, "kB"}} {
		if s%u.bytes == 0 && s != 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// diskReserve is a number of bytes that are to stay free, as Config.DiskReserve
// has it: 0 is for the crawler to choose, less is none.
type diskReserve int64

func (r *diskReserve) UnmarshalText(text []byte) error {
	switch string(text) {
	case "auto":
		*r = 0
		return nil
	case "0":
		*r = -1
		return nil
	}
	var s size
	if err := s.UnmarshalText(text); err != nil {
		return fmt.Errorf("%w, 0 or auto", err)
	}
	*r = diskReserve(s)
	return nil
}

func (r diskReserve) String() string {
	switch {
	case r == 0:
		return "auto"
	case r < 0:
		return "0"
	}
	return size(r).String()
}

// sizeLimit is a number of bytes, or 0 for no limit.
type sizeLimit int64

func (s *sizeLimit) UnmarshalText(text []byte) error {
	if strings.TrimSpace(string(text)) == "0" {
		*s = 0
		return nil
	}
	return (*size)(s).UnmarshalText(text)
}

func (s sizeLimit) String() string { return size(s).String() }

// pattern is a regular expression. An empty one is more often a variable that is not
// set.
type pattern struct{ *regexp.Regexp }

func (p *pattern) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New(`"" matches everything; write . if that is meant`)
	}
	re, err := regexp.Compile(string(text))
	if err != nil {
		return fmt.Errorf("%q is no regular expression: %s", text, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	p.Regexp = re
	return nil
}

// headerField is one "Name: value" to be sent with every request.
type headerField struct{ name, value string }

func (f *headerField) UnmarshalText(text []byte) error {
	name, value, found := strings.Cut(string(text), ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !found || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return fmt.Errorf("%q is no header field: write 'Name: value'", redactedHeader(string(text)))
	}
	f.name, f.value = http.CanonicalHeaderKey(name), value
	return nil
}

func (f headerField) String() string { return f.name + ": " + f.value }

// infoField is one "name: value" that archives tell of themselves.
type infoField struct{ headerField }

func (f *infoField) UnmarshalText(text []byte) error {
	if err := f.headerField.UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is no field of an archive: write 'name: value'", text)
	}
	name, _, _ := strings.Cut(string(text), ":")
	f.name = strings.TrimSpace(name) // in the letters of the user
	return nil
}

// proxyURL is where all requests go; nil: to the servers themselves.
type proxyURL struct{ url *url.URL }

func (p *proxyURL) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		p.url = nil
		return nil
	}
	u, err := url.Parse(string(text))
	if err != nil || u.Host == "" || !proxySchemes[u.Scheme] {
		return fmt.Errorf("%q is no proxy: write http://host:port, https://host:port or socks5://host:port", redactedProxy(string(text)))
	}
	p.url = u
	return nil
}

func (p proxyURL) String() string {
	if p.url == nil {
		return ""
	}
	return p.url.String()
}

var proxySchemes = map[string]bool{"http": true, "https": true, "socks5": true, "socks5h": true}

// scopeKind is how far the crawl goes from its seeds.
type scopeKind struct{ crawler.ScopeKind }

func (k *scopeKind) UnmarshalText(text []byte) (err error) {
	k.ScopeKind, err = crawler.ParseScopeKind(string(text))
	if err != nil {
		return notOneOf(string(text), "host", "domain", "prefix", "any")
	}
	return nil
}

// robotsMode says whether robots.txt is obeyed.
type robotsMode string

const (
	robotsObey   robotsMode = "obey"
	robotsIgnore robotsMode = "ignore"
)

func (m *robotsMode) UnmarshalText(text []byte) error {
	switch v := robotsMode(text); v {
	case robotsObey, robotsIgnore:
		*m = v
		return nil
	}
	return notOneOf(string(text), string(robotsObey), string(robotsIgnore))
}

// linkKinds are the kinds of links that are followed.
type linkKinds struct{ links.Kind }

func (k *linkKinds) UnmarshalText(text []byte) error {
	set, err := links.ParseKinds(string(text))
	if err != nil {
		for _, name := range strings.Split(string(text), ",") {
			if !slices.Contains(links.KindNames(), name) {
				return notOneOf(name, links.KindNames()...)
			}
		}
		return err
	}
	if set == 0 {
		return errors.New("names no kind of link")
	}
	k.Kind = set
	return nil
}

func (k linkKinds) String() string {
	if k.Kind == links.Pages {
		return "pages"
	}
	return strings.ReplaceAll(k.Kind.String(), "|", ",")
}

// nofollow says whose nofollow is obeyed.
type nofollow struct{ crawler.Nofollow }

func (n *nofollow) UnmarshalText(text []byte) (err error) {
	if n.Nofollow, err = crawler.ParseNofollow(string(text)); err != nil {
		return notOneOf(string(text), "page", "links", "ignore")
	}
	return nil
}

// noindexMode says what is kept of pages that ask for noindex.
type noindexMode string

const (
	noindexKeep noindexMode = "keep"
	noindexDrop noindexMode = "drop"
)

func (m *noindexMode) UnmarshalText(text []byte) error {
	switch v := noindexMode(text); v {
	case noindexKeep, noindexDrop:
		*m = v
		return nil
	}
	return notOneOf(string(text), string(noindexKeep), string(noindexDrop))
}

// sitemapsMode says which sitemaps are read.
type sitemapsMode struct{ crawler.Sitemaps }

func (m *sitemapsMode) UnmarshalText(text []byte) (err error) {
	if m.Sitemaps, err = crawler.ParseSitemaps(string(text)); err != nil {
		return notOneOf(string(text), "named", "guessed", "none")
	}
	return nil
}

// urlRules are optional normalizations of URLs.
type urlRules struct{ weburl.Rules }

// flag is the rule that a name switches on, or nil.
func (r *urlRules) flag(name string) *bool {
	switch name {
	case "session-ids":
		return &r.SessionIDs
	case "tracking":
		return &r.Tracking
	case "sort-query":
		return &r.SortQuery
	case "www":
		return &r.StripWWW
	case "trailing-slash":
		return &r.TrailingSlash
	}
	return nil
}

var urlRuleNames = []string{"session-ids", "tracking", "sort-query", "www", "trailing-slash"}

func (r *urlRules) UnmarshalText(text []byte) error {
	*r = urlRules{}
	if string(text) == "none" {
		return nil
	}
	for name := range strings.SplitSeq(string(text), ",") {
		on := r.flag(name)
		if on == nil {
			return notOneOf(name, append([]string{"none"}, urlRuleNames...)...)
		}
		*on = true
	}
	return nil
}

func (r urlRules) String() string {
	var names []string
	for _, name := range urlRuleNames {
		if *r.flag(name) {
			names = append(names, name)
		}
	}
	return cmp.Or(strings.Join(names, ","), "none")
}

// with adds names of parameters to drop.
func (r urlRules) with(params []string) weburl.Rules {
	rules := r.Rules
	rules.DropParams = params
	return rules
}

// notOneOf says that a word is none of those allowed, and which it may have
// been meant to be.
func notOneOf(word string, allowed ...string) error {
	err := fmt.Errorf("%q is none of %s", word, strings.Join(allowed, ", "))
	if near := nearest(word, allowed); near != "" {
		err = fmt.Errorf("%w; did you mean %s?", err, near)
	}
	return err
}

// nearest returns the candidate with the fewest edits from word, or "" if none
// is near enough to be a slip.
func nearest(word string, candidates []string) string {
	best, fewest := "", max(2, len(word)/3)+1
	for _, c := range candidates {
		if d := edits(word, c); d < fewest {
			best, fewest = c, d
		}
	}
	return best
}

// edits counts the insertions, deletions and replacements that make a of b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

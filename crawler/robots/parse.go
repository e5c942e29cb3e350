package robots

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// MaxBytes is how much of a robots.txt is read unless [Limits] say otherwise (RFC 9309, section 2.5).
const MaxBytes = 500 << 10

// MaxCrawlDelay is the longest Crawl-delay that is reported; longer ones are cut to it.
const MaxCrawlDelay = 24 * time.Hour

// Limits bound what a hostile robots.txt can cost. The zero value is what [Parse] uses.
type Limits struct {
	Bytes     int // of the file that are read; what follows, and a line without an end just there, is left out. 0: MaxBytes
	LineBytes int // of a line that are read; a longer one counts as if it ended there. 0: 16,663, as the reference matcher
	Wildcards int // rules with "*" or "$" that count; further ones are left out. 0: 5,000
	Sitemaps  int // Sitemap lines that count. 0: 1,000
}

// Parse reads a robots.txt. It never fails: what cannot be understood is skipped.
func Parse(body []byte) *File { return Limits{}.Parse(body) }

// Parse is the function [Parse] with limits of one's own.
func (l Limits) Parse(body []byte) *File {
	l.Bytes = cmp.Or(l.Bytes, MaxBytes)
	l.LineBytes = cmp.Or(l.LineBytes, 2083*8-1)
	l.Wildcards = cmp.Or(l.Wildcards, 5000)
	l.Sitemaps = cmp.Or(l.Sitemaps, 1000)

	p := parser{limits: l, file: &File{}}
	if len(body) > l.Bytes {
		body = body[:l.Bytes]
		p.file.cut = true
	}
	if len(body) == l.Bytes { // the caller may have cut it there, and half a rule may say more than the whole
		whole := bytes.LastIndexAny(body, "\r\n") + 1
		p.file.cut = p.file.cut || whole < len(body)
		body = body[:whole]
	}
	text := strings.TrimPrefix(decode(body), "\uFEFF")
	for n := 1; text != ""; n++ {
		var line string
		line, text = cutLine(text)
		p.line(n, line)
	}
	return p.file
}

// decode returns the text in UTF-8: a file in UTF-16, which the RFC does not allow, is known by its byte order mark.
func decode(body []byte) string {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(body, []byte{0xFE, 0xFF}):
		order = binary.BigEndian
	case bytes.HasPrefix(body, []byte{0xFF, 0xFE}):
		order = binary.LittleEndian
	default:
		return string(body)
	}
	units := make([]uint16, 0, len(body)/2)
	for b := body[2:]; len(b) >= 2; b = b[2:] {
		units = append(units, order.Uint16(b))
	}
	return string(utf16.Decode(units))
}

// cutLine splits text after its first line, which ends with CR, LF or CRLF.
func cutLine(text string) (line, rest string) {
	i := strings.IndexAny(text, "\r\n")
	if i < 0 {
		return text, ""
	}
	if strings.HasPrefix(text[i:], "\r\n") {
		return text[:i], text[i+2:]
	}
	return text[:i], text[i+1:]
}

type parser struct {
	limits    Limits
	file      *File
	headed    bool // the last group has rules: the next User-agent line begins another
	wildcards int
}

func (p *parser) line(n int, line string) {
	if len(line) > p.limits.LineBytes {
		line = line[:p.limits.LineBytes]
		p.file.cut = true
	}
	line, _, _ = strings.Cut(line, "#")
	line = strings.Trim(line, space)
	key, value, ok := keyValue(line)
	if !ok {
		return
	}
	switch fieldOf(key) {
	case userAgent:
		p.userAgent(value)
	case allow:
		p.rule(rule{line: n, text: line, allow: true}, value)
	case disallow:
		p.rule(rule{line: n, text: line, allow: false}, value)
	case crawlDelay:
		p.crawlDelay(value)
	case sitemap:
		p.sitemap(value)
	}
}

const space = " \t\v\f\x00"

// keyValue splits a line at its colon or, as the reference matcher does, between its two words.
func keyValue(line string) (key, value string, ok bool) {
	i := strings.IndexByte(line, ':')
	if i < 0 {
		if i = strings.IndexAny(line, space); i < 0 {
			return "", "", false
		}
		if strings.ContainsAny(strings.Trim(line[i:], space), space) {
			return "", "", false
		}
	}
	key = strings.Trim(line[:i], space)
	return key, strings.Trim(line[i+1:], space), key != ""
}

type field int

const (
	other field = iota
	userAgent
	allow
	disallow
	crawlDelay
	sitemap
)

func fieldOf(key string) field {
	switch strings.ToLower(key) {
	case "user-agent", "useragent", "user agent":
		return userAgent
	case "allow":
		return allow
	case "disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw":
		return disallow
	case "crawl-delay", "crawldelay", "crawl delay":
		return crawlDelay
	case "sitemap", "site-map":
		return sitemap
	}
	return other
}

func (p *parser) userAgent(value string) {
	if p.headed || len(p.file.groups) == 0 {
		p.file.groups = append(p.file.groups, group{})
		p.headed = false
	}
	g := p.group()
	if value == "*" || strings.HasPrefix(value, "* ") {
		g.agents = append(g.agents, "*")
	} else if token := productToken(value); token != "" {
		g.agents = append(g.agents, token)
	}
}

// group returns the group that lines belong to now; nil before the first User-agent line.
func (p *parser) group() *group {
	if len(p.file.groups) == 0 {
		return nil
	}
	return &p.file.groups[len(p.file.groups)-1]
}

func (p *parser) rule(r rule, value string) {
	g := p.group()
	if g == nil {
		return
	}
	p.headed = true
	r.pattern = normalizePattern(value, r.allow)
	if r.pattern == "" || r.pattern[0] != '/' && r.pattern[0] != '*' {
		return // allows or forbids nothing
	}
	if hasWildcard(r.pattern) {
		if p.wildcards++; p.wildcards > p.limits.Wildcards {
			p.file.cut = true
			return
		}
	}
	g.rules = append(g.rules, r)
}

func (p *parser) crawlDelay(value string) {
	g := p.group()
	if g == nil {
		return
	}
	d, ok := parseDelay(value)
	// A second line that binds no one else is worth keeping only if it asks for more.
	if last := len(g.delays) - 1; ok && last >= 0 && g.delays[last].agents == len(g.agents) {
		g.delays[last].delay = max(g.delays[last].delay, d)
	} else if ok {
		g.delays = append(g.delays, delay{agents: len(g.agents), delay: d})
	}
}

// parseDelay reads a number of seconds, which may have a fraction.
func parseDelay(value string) (time.Duration, bool) {
	for _, c := range []byte(value) {
		if (c < '0' || c > '9') && c != '.' {
			return 0, false // signs, exponents, "Inf", units
		}
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil && !math.IsInf(seconds, 1) { // too many digits for a float64 is a long time, not an error
		return 0, false
	}
	if seconds >= MaxCrawlDelay.Seconds() {
		return MaxCrawlDelay, true
	}
	return time.Duration(seconds * float64(time.Second)), true
}

func (p *parser) sitemap(value string) {
	if value == "" {
		return
	}
	if len(p.file.sitemaps) >= p.limits.Sitemaps {
		p.file.cut = true
		return
	}
	p.file.sitemaps = append(p.file.sitemaps, value)
}

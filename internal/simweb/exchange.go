package simweb

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// exchange answers the requests of one connection, one after the other. It speaks just enough HTTP/1.1 for that, and
// a page costs it no allocation.
type exchange struct {
	web      *Web
	host     *host
	conn     net.Conn
	in       []byte // received and not yet consumed
	answered int

	// The request being answered; path points into in.
	path    []byte
	headers int // length of its head in in
	head    bool
	gzip    bool
	close   bool // the connection ends with this answer
}

const (
	maxHead  = 64 << 10 // of a request
	headRoom = 512      // for the head of an answer, before its body
)

var errBadRequest = errors.New("bad request")

// serve answers requests until the connection ends.
func (x *exchange) serve() {
	x.in = make([]byte, 0, 2048)
	for !x.close {
		ok, err := x.read()
		if !ok {
			return
		}
		x.host.begin(time.Now())
		if latency := x.web.site.cfg.Latency; latency > 0 {
			x.web.sleep(latency)
		}
		x.answered++
		if x.answered == x.web.site.cfg.ConnRequests {
			x.close = true
		}
		if err != nil {
			x.close = true
			x.respond(kindBad, 0, 400, "", "bad request\n")
			return
		}
		if !x.answer() {
			return
		}
		x.in = x.in[:copy(x.in, x.in[x.headers:])]
	}
}

// read waits for a request and reads its head. It reports false when the connection ended.
func (x *exchange) read() (ok bool, err error) {
	for {
		if i := bytes.Index(x.in, []byte("\r\n\r\n")); i >= 0 {
			x.headers = i + 4
			return true, x.parse(x.in[:i])
		}
		if len(x.in) >= maxHead {
			return true, errBadRequest
		}
		if len(x.in) == cap(x.in) {
			x.in = append(x.in, make([]byte, len(x.in))...)[:len(x.in)]
		}
		n, err := x.conn.Read(x.in[len(x.in):cap(x.in)])
		x.in = x.in[:len(x.in)+n]
		if err != nil {
			return false, err
		}
	}
}

// parse reads what matters here of a request's head. Requests with a body are bad ones: nothing here takes a body.
func (x *exchange) parse(head []byte) error {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	method, rest, _ := bytes.Cut(line, []byte(" "))
	path, version, _ := bytes.Cut(rest, []byte(" "))
	x.path = path
	x.head = string(method) == "HEAD"
	x.gzip = false
	x.close = string(version) == "HTTP/1.0"
	if !x.head && string(method) != "GET" || !x.close && string(version) != "HTTP/1.1" || len(path) == 0 || path[0] != '/' {
		return errBadRequest
	}
	hosts := 0
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return errBadRequest
		}
		switch {
		case isField(name, "host"):
			hosts++
		case isField(name, "accept-encoding"):
			x.gzip = x.web.site.cfg.Gzip && bytes.Contains(value, []byte("gzip"))
		case isField(name, "connection"):
			x.close = x.close || bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
		case isField(name, "content-length"):
			if string(bytes.TrimSpace(value)) != "0" {
				return errBadRequest
			}
		case isField(name, "transfer-encoding"):
			return errBadRequest
		}
	}
	if hosts != 1 {
		return errBadRequest
	}
	return nil
}

func isField(name []byte, lower string) bool {
	return len(name) == len(lower) && strings.EqualFold(string(name), lower)
}

// answer routes the request and reports whether the connection can go on.
func (x *exchange) answer() bool {
	s, host := x.web.site, x.host.number
	if page, ok := s.pageOf(x.path); ok {
		if status := s.failsFirst(host, page); status != 0 && x.host.firstTry(page) {
			return x.respond(kindError, 0, status, "", "try again\n")
		}
		return x.respondPage(page)
	}
	path := string(x.path)
	switch {
	case path == "/robots.txt":
		return x.respondRobots()
	case s.cfg.Sitemaps && strings.HasPrefix(path, sitemapPrefix):
		if sitemap := s.sitemap(host, path); sitemap != "" {
			return x.respond(kindSitemap, 0, 200, "Content-Type: application/xml\r\n", sitemap)
		}
	case !s.cfg.NoRobots && forbidden(path):
		return x.respond(kindForbidden, 0, 200, htmlField, "<title>Forbidden</title>no robot should be here\n")
	case strings.HasPrefix(path, redirectPrefix):
		if page, ok := x.numbered(redirectPrefix); ok && s.redirectStatus(host, page) != 0 {
			return x.redirect(page)
		}
	case strings.HasPrefix(path, brokenPrefix):
		if page, ok := x.numbered(brokenPrefix); ok && s.brokenStatus(host, page) != 0 {
			return x.respond(kindBroken, 0, s.brokenStatus(host, page), "", "broken\n")
		}
	case strings.HasPrefix(path, assetPrefix), path == "/favicon.ico":
		return x.respond(kindAsset, 0, 200, "Content-Type: application/octet-stream\r\n", "asset\n")
	case strings.HasPrefix(path, trapPrefix):
		return x.respond(kindTrap, 0, 200, htmlField, "<title>Trap</title>nothing links here\n")
	case s.cfg.Zoo && strings.HasPrefix(path, zooPrefix):
		if serve, arg := exhibitAt(path); serve != nil {
			x.host.end(kindZoo, 0, 0)
			return serve(x, arg)
		}
	}
	return x.respond(kindNotFound, 0, 404, "", "not found\n")
}

const htmlField = "Content-Type: text/html; charset=utf-8\r\n"

// numbered returns the page whose number follows prefix in the path, spelled exactly.
func (x *exchange) numbered(prefix string) (page int, ok bool) {
	page, ok = lastNumber(x.path)
	return page, ok && page < x.web.site.cfg.Pages && string(numbered(prefix, page)) == string(x.path)
}

// respondPage answers with a page, in one write.
func (x *exchange) respondPage(number int) bool {
	p := x.web.pages.Get().(*page)
	defer x.web.pages.Put(p)
	p.buf = append(p.buf[:0], make([]byte, headRoom)...)
	p.gzip = x.gzip
	p.render(x.host.number, number)

	var room [headRoom]byte
	head := x.appendStatus(room[:0], 200)
	head = append(head, htmlField+"Vary: Accept-Encoding\r\nCache-Control: max-age=600\r\n"...)
	if x.gzip {
		head = append(head, "Content-Encoding: gzip\r\n"...)
	}
	head = x.appendLength(head, len(p.buf)-headRoom)
	answer := p.buf[headRoom-len(head):]
	copy(answer, head)
	if x.head {
		answer = answer[:len(head)]
	}
	x.host.end(kindPage, number, len(answer))
	_, err := x.conn.Write(answer)
	return err == nil
}

// respond answers with a short body and counts it as kind k of a page. fields are header fields, each with its line end.
func (x *exchange) respond(k kind, page, status int, fields, body string) bool {
	b := x.appendStatus(nil, status)
	b = append(b, fields...)
	b = x.appendLength(b, len(body))
	if !x.head {
		b = append(b, body...)
	}
	x.host.end(k, page, len(b))
	_, err := x.conn.Write(b)
	return err == nil
}

func (x *exchange) appendStatus(b []byte, status int) []byte {
	b = strconv.AppendInt(append(b, "HTTP/1.1 "...), int64(status), 10)
	b = append(append(b, ' '), http.StatusText(status)...)
	b = append(append(b, "\r\nServer: simweb\r\nDate: "...), x.web.now()...)
	return append(b, "\r\n"...)
}

// appendLength ends a head.
func (x *exchange) appendLength(b []byte, length int) []byte {
	b = strconv.AppendInt(append(b, "Content-Length: "...), int64(length), 10)
	if x.close {
		b = append(b, "\r\nConnection: close"...)
	}
	return append(b, "\r\n\r\n"...)
}

// redirect answers with the redirect to a page, its Location in one of three forms.
func (x *exchange) redirect(page int) bool {
	s, host := x.web.site, x.host.number
	path := string(appendPath(nil, page, false))
	location := [...]string{path, s.url(host, []byte(path)), ".." + path}[page%3]
	return x.respond(kindRedirect, page, s.redirectStatus(host, page), "Location: "+location+"\r\n", "moved\n")
}

// date is a Date field's value and the second it stands for.
type date struct {
	second int64
	text   string
}

func (w *Web) now() string {
	now := time.Now()
	d := w.date.Load()
	if d == nil || d.second != now.Unix() {
		d = &date{now.Unix(), now.UTC().Format(http.TimeFormat)}
		w.date.Store(d)
	}
	return d.text
}

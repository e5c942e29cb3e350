package simweb

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Exhibit is a path that misbehaves, on every host of a web whose Config.Zoo is set.
type Exhibit struct {
	Path string // "/zoo/stall"; where a number ends it, any other number is served too
	What string // what its server does
}

// Zoo lists the misbehaving paths. No page links to them: seed them. Each answers for as long as the client lets it; a
// crawler's limits must end every one of them.
func Zoo() []Exhibit {
	list := make([]Exhibit, len(exhibits))
	for i, e := range exhibits {
		list[i] = Exhibit{zooPrefix + e.path, e.what}
	}
	return list
}

// An exhibit's serve writes to the connection what it likes and reports whether the connection can go on. arg is what
// follows the first slash of its path.
type serveFunc func(x *exchange, arg string) bool

var exhibits = [...]struct {
	path  string
	what  string
	serve serveFunc
}{
	// Connections
	{"close", "closes the connection without an answer", raw("")},
	{"reset", "resets the connection without an answer", serveReset},
	{"stall", "never answers", stallAfter("")},
	{"stall-head", "stops inside the head", stallAfter("HTTP/1.1 200 OK\r\nContent-Type: te")},
	{"stall-body", "stops inside the body", stallAfter(ok + "Content-Length: 100\r\n\r\n<a href=/>index</a>")},
	{"drip", "sends a byte a second", serveDrip},
	{"hangup", "closes the connection after an answer that keeps it open", raw(ok + "Content-Length: 5\r\n\r\nhello")},
	{"unasked", "sends a second answer nobody asked for", keep(ok + "Content-Length: 5\r\n\r\nhello" +
		ok + "Content-Length: 7\r\n\r\nunasked")},

	// Heads
	{"not-http", "speaks another protocol", raw("SSH-2.0-OpenSSH_9.2p1\r\n")},
	{"no-head", "sends a body without a head, as HTTP/0.9 did", raw("<html><a href=/>index</a></html>")},
	{"status-bad", "has a status that is no number", raw("HTTP/1.1 two hundred\r\nContent-Length: 0\r\n\r\n")},
	{"status-999", "has a status outside of all classes", raw("HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n")},
	{"switching", "switches protocols unasked", raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\x00\x01")},
	{"interim", "sends interim answers without end", endless("", "HTTP/1.1 103 Early Hints\r\nLink: </static/style.css>; rel=preload\r\n\r\n")},
	{"head-endless", "sends header fields without end", endless("HTTP/1.1 200 OK\r\n", "X-More: and more and more\r\n")},
	{"field-endless", "sends one header field without end", endless("HTTP/1.1 200 OK\r\nX-Long: ", "on and on ")},
	{"field-bad", "sends a header line without a colon", raw("HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 0\r\n\r\n")},
	{"cookies", "sets 500 cookies and one of 100 kB", serveCookies},

	// Bodies
	{"length-long", "announces more body than it sends", raw(ok + "Content-Length: 1000\r\n\r\n<a href=/>index</a>")},
	{"length-short", "sends more body than it announces", keep(ok + "Content-Length: 5\r\n\r\nhello, world")},
	{"length-two", "announces two lengths", raw(ok + "Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello!!")},
	{"length-bad", "announces a length that is no number", raw(ok + "Content-Length: five\r\n\r\nhello")},
	{"length-huge", "announces more than any number holds", raw(ok + "Content-Length: 99999999999999999999\r\n\r\nhello")},
	{"endless", "announces and sends 1 GB", endless(ok+"Content-Length: 1073741824\r\n\r\n", prattle)},
	{"endless-close", "sends a body without length or end", endless(ok+"\r\n", prattle)},
	{"endless-chunked", "sends chunks without end", endless(ok+chunked, "4b\r\n"+prattle+"\r\n")},
	{"endless-trailer", "sends trailer fields without end", endless(ok+chunked+"5\r\nhello\r\n0\r\n", "X-More: and more\r\n")},
	{"chunk-bad", "sends a chunk size that is no number", raw(ok + chunked + "xyz\r\nhello\r\n0\r\n\r\n")},
	{"chunk-cut", "closes inside a chunk", raw(ok + chunked + "100\r\nhello")},
	{"chunk-huge", "announces a chunk of more than any number holds", raw(ok + chunked + "fffffffffffffffff\r\nhello")},
	{"chunk-extension", "sends a chunk extension without end", endless(ok+chunked+"5;x=", "and more ")},
	{"gzip-bad", "says gzip and sends text", raw(ok + gzipped + "Content-Length: 16\r\n\r\nnothing was done")},
	{"gzip-cut", "sends a gzip stream without its end", serveGzip(0, -12, "")},
	{"gzip-sum", "sends a gzip stream with a wrong checksum", serveGzip(0, -8, "\x00\x00\x00\x00\x00\x00\x00\x00")},
	{"gzip-junk", "sends a gzip stream with junk after it", serveGzip(0, 0, "junk after the stream")},
	{"gzip-bomb", "sends a small gzip stream that decodes to 1 GB", serveGzip(1<<30, 0, "")},
	{"coding-unknown", "uses a content coding that does not exist", raw(ok + "Content-Encoding: squeeze\r\nContent-Length: 5\r\n\r\nhello")},
	{"binary", "says text/html and sends bytes that are none", serveBinary},
	{"untyped", "has no Content-Type", keep("HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n<a href=/>index</a>")},
	{"links", "is a page of 100,000 links to URLs that do not exist", serveRepeated("<a href=/zoo/none/%d>x</a>\n", 100_000)},
	{"nested", "is a page of 100,000 elements inside each other", serveRepeated("<div id=d%d>", 100_000)},
	{"maze/1", "is a page of a maze without end", serveMaze},

	// Redirects
	{"loop", "redirects to itself", redirectTo("loop")},
	{"ring/1", "redirects in a circle of three", serveRing},
	{"chain/20", "redirects as many times as its number says, then is a page", serveChain},
	{"away/1", "redirects to the next number, without end", serveAway},
	{"location-none", "redirects without saying where to", keep("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")},
	{"location-bad", "redirects to what is no URL", redirectTo("http://[::bad/")},
	{"location-file", "redirects to a file", redirectTo("file:///etc/passwd")},
	{"location-userinfo", "redirects to a URL with a password", redirectTo("http://user:secret@127.0.0.1:1/")},

	// Refusals
	{"busy/1", "answers 429, try again after as many seconds as its number says, and then is a page", serveBusy},
	{"down/1", "always answers 503 with that many seconds in Retry-After", serveDown},
	{"down-date", "always answers 503 with a date a minute away in Retry-After", serveDownDate},
	{"down-bad", "always answers 503 with a Retry-After that is nonsense", keep("HTTP/1.1 503 Service Unavailable\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n")},
}

// exhibitAt returns who serves the path, or nil, and the path's argument.
func exhibitAt(path string) (serve serveFunc, arg string) {
	name, arg, hasArg := strings.Cut(path[len(zooPrefix):], "/")
	for i := range exhibits {
		known, _, takesArg := strings.Cut(exhibits[i].path, "/")
		if known == name && takesArg == hasArg {
			return exhibits[i].serve, arg
		}
	}
	return nil, ""
}

const (
	ok      = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
	chunked = "Transfer-Encoding: chunked\r\n\r\n"
	gzipped = "Content-Encoding: gzip\r\n"
	prattle = "<p>and another thing, and another, and so on until the cows come home.</p>\n"
)

func (x *exchange) write(s string) bool {
	_, err := io.WriteString(x.conn, s)
	return err == nil
}

// page answers with a small page.
func (x *exchange) page(body string) bool {
	return x.write(ok + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

// raw writes bytes and closes the connection; keep writes them and keeps it open.
func raw(answer string) serveFunc {
	return func(x *exchange, _ string) bool {
		x.write(answer)
		return false
	}
}

func keep(answer string) serveFunc {
	return func(x *exchange, _ string) bool { return x.write(answer) }
}

// stallAfter writes bytes, then nothing more until the client goes away.
func stallAfter(start string) serveFunc {
	return func(x *exchange, _ string) bool {
		if x.write(start) {
			_, _ = io.Copy(io.Discard, x.conn)
		}
		return false
	}
}

// endless writes start and then repeats more until the client goes away or 1 GB is reached.
func endless(start, more string) serveFunc {
	block := strings.Repeat(more, 1+16<<10/len(more))
	return func(x *exchange, _ string) bool {
		for sent, next := 0, start; sent < 1<<30; sent, next = sent+len(next), block {
			if !x.write(next) {
				break
			}
		}
		return false
	}
}

func serveReset(x *exchange, _ string) bool {
	if c, ok := x.conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	return false
}

func serveDrip(x *exchange, _ string) bool {
	for alive := x.write(ok + "Content-Length: 100000\r\n\r\n"); alive; alive = x.write("x") {
		x.web.sleep(time.Second)
	}
	return false
}

func serveCookies(x *exchange, _ string) bool {
	var b strings.Builder
	b.WriteString(ok)
	for i := range 500 {
		fmt.Fprintf(&b, "Set-Cookie: c%d=%d; Path=/\r\n", i, i)
	}
	b.WriteString("Set-Cookie: big=" + strings.Repeat("x", 100_000) + "\r\nContent-Length: 0\r\n\r\n")
	return x.write(b.String())
}

// serveGzip writes a gzip stream that decodes to at least size bytes, cut by some bytes at its end and followed by tail.
func serveGzip(size int, cut int, tail string) serveFunc {
	return func(x *exchange, _ string) bool {
		s := stream{gzip: true}
		s.start()
		s.open()
		s.buf = append(s.buf, "<a href=/>index</a>"...)
		s.close()
		if size > 0 {
			text := bytes.Repeat([]byte(prattle), 1<<20/len(prattle))
			s.filler = &filler{length: len(text)}
			s.filler.blocks[0] = fillerBlock{text: text, deflated: deflate(text)}
		}
		for s.size < size {
			s.fill(0) // without its checksum: nobody reads that far
		}
		s.end()
		body := string(s.buf[:len(s.buf)+cut]) + tail
		return x.write(ok + gzipped + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	}
}

func serveBinary(x *exchange, _ string) bool {
	b := make([]byte, 4096)
	for i := range b {
		b[i] = byte(mix(uint64(i)))
	}
	return x.page(string(b))
}

func serveRepeated(format string, n int) serveFunc {
	return func(x *exchange, _ string) bool {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return x.page(b.String())
	}
}

func serveMaze(x *exchange, arg string) bool {
	n, _ := strconv.ParseUint(arg, 10, 63)
	return x.page(fmt.Sprintf("<title>Maze %d</title><a href=/zoo/maze/%d>left</a> <a href=/zoo/maze/%d>right</a>", n, 2*n, 2*n+1))
}

func redirectTo(location string) serveFunc {
	return keep("HTTP/1.1 302 Found\r\nLocation: " + location + "\r\nContent-Length: 0\r\n\r\n")
}

func serveRing(x *exchange, arg string) bool {
	n, _ := strconv.Atoi(arg)
	return redirectTo(strconv.Itoa((n+1)%3))(x, "")
}

func serveChain(x *exchange, arg string) bool {
	n, _ := strconv.Atoi(arg)
	if n <= 0 {
		return x.page("<title>End of the chain</title>")
	}
	return redirectTo(strconv.Itoa(n-1))(x, "")
}

func serveAway(x *exchange, arg string) bool {
	n, _ := strconv.Atoi(arg)
	return redirectTo(strconv.Itoa(n+1))(x, "")
}

func serveBusy(x *exchange, arg string) bool {
	if x.web.firstVisit(x.host.number, string(x.path)) {
		return x.write("HTTP/1.1 429 Too Many Requests\r\nRetry-After: " + arg + "\r\nContent-Length: 0\r\n\r\n")
	}
	return x.page("<title>Not busy any more</title>")
}

// firstVisit reports whether the host's path was not asked for before.
func (w *Web) firstVisit(host int, path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := visit{host, path}
	first := !w.visits[v]
	w.visits[v] = true
	return first
}

func serveDown(x *exchange, arg string) bool {
	return x.write("HTTP/1.1 503 Service Unavailable\r\nRetry-After: " + arg + "\r\nContent-Length: 0\r\n\r\n")
}

func serveDownDate(x *exchange, _ string) bool {
	at := time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)
	return x.write("HTTP/1.1 503 Service Unavailable\r\nRetry-After: " + at + "\r\nContent-Length: 0\r\n\r\n")
}

package httpclient

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// converse sends a request over a pipe, at whose other end the bytes of raw come in
// pieces of the given size (0: at once) before it closes. It returns the response
// with its body, or the error.
func converse(method, raw string, piece int) (*Response, []byte, error) {
	p := NewPool(PoolConfig{}, func(context.Context, ConnKey) (net.Conn, error) {
		a, b := net.Pipe()
		go func() {
			defer b.Close()
			go func() { _, _ = io.Copy(io.Discard, b) }()
			for rest := raw; rest != ""; {
				n := len(rest)
				if piece > 0 {
					n = min(piece, n)
				}
				if _, err := io.WriteString(b, rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		return a, nil
	})
	s, err := New(Config{Connector: p, Jar: DummyJar{}, NoRetryStale: true})
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	req, err := NewRequest(method, "http://h.test/")
	if err != nil {
		return nil, nil, err
	}
	req.NoRedirects, req.NoDecompress = true, true
	resp, err := s.Do(context.Background(), req)
	if err != nil {
		return nil, nil, err
	}
	body, err := resp.Bytes()
	if st := p.Stats(); st.Held() != 0 {
		err = errors.Join(err, fmt.Errorf("slot still held: %+v", st))
	}
	return resp, body, err
}

// TestOddHeads: what servers send that the rules forbid, and what becomes of it.
// An empty want is a *ProtocolError.
func TestOddHeads(t *testing.T) {
	const oh = "HTTP/1.1 200 OK\r\n"
	const two = "Content-Length: 2\r\n\r\nhi"
	for _, v := range []struct {
		name, raw string
		body      string
		defects   Defect
		bad       bool
		keep      bool
	}{
		{"sound", oh + two, "hi", 0, false, true},
		{"non-ASCII header name", oh + "N\xe4me: x\r\n" + two, "hi", DefectFieldName, false, true},
		{"line without colon", oh + "just a line\r\n" + two, "hi", DefectNoColon, false, true},
		{"blank before first field", oh + " X: 1\r\n" + two, "hi", DefectLeadingSpace, false, true},
		{"control in value", oh + "X: a\x01b\r\n" + two, "hi", DefectControl, false, true},
		{"NUL in value", oh + "X: a\x00b\r\n" + two, "hi", DefectControl, false, true},
		{"HTTP/1.10", "HTTP/1.10 200 OK\r\n" + two, "hi", DefectVersion, false, false},
		{"HTTP/2", "HTTP/2 200\r\n" + two, "hi", DefectVersion, false, false},
		{"ICY", "ICY 200 OK\r\n" + two, "hi", DefectVersion, false, false},
		{"lower case", "http/1.1 200 ok\r\n" + two, "hi", DefectVersion, false, false},
		{"four digits", "HTTP/1.1 2000 OK\r\n" + two, "hi", DefectStatusLine, false, true},
		{"status 999", "HTTP/1.1 999 No\r\n" + two, "hi", 0, false, true},
		{"status 099", "HTTP/1.1 099 No\r\n" + two, "hi", 0, false, true},
		{"no reason", "HTTP/1.1 200\r\n" + two, "hi", 0, false, true},
		{"two spaces", "HTTP/1.1  200 OK\r\n" + two, "hi", DefectStatusLine, false, true},
		{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", "hi", DefectBareLF, false, true},
		{"space before colon", oh + "Content-Length : 2\r\n\r\nhi", "hi", DefectSpaceBeforeColon, false, true},
		{"space in name", oh + "Some Name: x\r\n" + two, "hi", DefectFieldName, false, true},
		{"folded", oh + "X: a\r\n b\r\n\tc\r\n" + two, "hi", DefectFolded, false, true},
		{"Latin-1 value", oh + "X: \xe9\r\n" + two, "hi", 0, false, true},
		{"leading CRLF", "\r\n\r\n" + oh + two, "hi", DefectLeadingBlank, false, true},
		{"no name", oh + ": x\r\n" + two, "hi", DefectFieldName, false, true},
		{"equal lengths twice", oh + "Content-Length: 2\r\n" + two, "hi", DefectRepeatedLength, false, true},
		{"equal lengths in one", oh + "Content-Length: 2, 2\r\n\r\nhi", "hi", DefectRepeatedLength, false, true},
		{"lengths that differ", oh + "Content-Length: 1\r\n" + two, "hi", DefectContentLength, false, false},
		{"junk length", oh + "Content-Length: two\r\n\r\nhi", "hi", DefectContentLength, false, false},
		{"plus length", oh + "Content-Length: +2\r\n\r\nhi", "hi", DefectContentLength, false, false},
		{"empty length", oh + "Content-Length:\r\n\r\nhi", "hi", DefectContentLength, false, false},
		{"negative length", oh + "Content-Length: -2\r\n\r\nhi", "hi", DefectContentLength, false, false},
		{"huge length", oh + "Content-Length: 99999999999999999999\r\n\r\nhi", "hi", DefectContentLength, false, false},
		{"hex length", oh + "Content-Length: 0x2\r\n\r\nhi", "hi", DefectContentLength, false, false},
		{"identity", oh + "Transfer-Encoding: identity\r\n" + two, "hi", DefectTransferCoding, false, false},
		{"chunked twice", oh + "Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", DefectTransferCoding, false, false},
		{"chunked in two fields", oh + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", DefectTransferCoding, false, false},
		{"chunked not last", oh + "Transfer-Encoding: chunked, x-own\r\n\r\nhi", "hi", DefectTransferCoding, false, false},
		{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhi", "hi", DefectTransferCoding, false, false},
		{"unknown coding", oh + "Transfer-Encoding: x-own\r\n\r\nhi", "hi", DefectTransferCoding, false, false},
		{"xchunked", oh + "Transfer-Encoding: xchunked\r\n" + two, "hi", DefectTransferCoding | DefectLengthAndChunked, false, false},
		{"chunked and length", oh + "Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", DefectLengthAndChunked, false, false},
		{"CHUNKED", oh + "Transfer-Encoding: CHUNKED\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", 0, false, true},
		{"chunk lines with LF", oh + "Transfer-Encoding: chunked\r\n\r\n2\nhi\n0\n\n", "hi", DefectChunkLine, false, true},
		{"chunk line with CR", oh + "Transfer-Encoding: chunked\r\n\r\n2;\r\r\nhi\r\n0\r\n\r\n", "hi", DefectChunkLine, false, true},
		{"trailer with CR", oh + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: \r\r\n\r\n", "hi", DefectChunkLine, false, true},
		{"chunk extensions", oh + "Transfer-Encoding: chunked\r\n\r\n2 ; a=\"b\"\r\nhi\r\n0;x\r\n\r\n", "hi", 0, false, true},
		{"20 kB header", oh + "X: " + strings.Repeat("x", 20_000) + "\r\n" + two, "hi", 0, false, true},
		{"HTTP/0.9", "hello", "", 0, true, false},
		{"banner", "220 ftp ready\r\n", "", 0, true, false},
		{"no status", "HTTP/1.1 OK\r\n\r\n", "", 0, true, false},
		{"status too long", "HTTP/1.1 20000 OK\r\n\r\n", "", 0, true, false},
		{"too many fields", oh + strings.Repeat("A:b\r\n", maxFields+1) + two, "", 0, true, false},
		{"blank lines for ever", strings.Repeat("\r\n", 10_000), "", 0, true, false},
		{"interim for ever", strings.Repeat("HTTP/1.1 103 Early\r\n\r\n", 100), "", 0, true, false},
		{"two responses at once", oh + two + oh + two, "hi", 0, false, false},
		{"body after 204", "HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nhi", "", 0, false, false},
	} {
		t.Run(v.name, func(t *testing.T) {
			for _, piece := range []int{0, 1} {
				if piece == 1 && len(v.raw) > 5000 {
					continue
				}
				p := &keepSpy{}
				resp, body, err := p.converse(v.raw, piece)
				var pe *ProtocolError
				switch {
				case v.bad && !errors.As(err, &pe):
					t.Fatalf("error %v", err)
				case v.bad:
				case err != nil || string(body) != v.body || resp.Defects() != v.defects:
					t.Fatalf("body %q, defects %v, error %v", body, resp.Defects(), err)
				case resp.keepConn && !v.keep:
					if piece == 0 && p.kept {
						t.Fatal("the connection was kept")
					}
				case !resp.keepConn && v.keep:
					t.Fatal("the connection would not be kept")
				}
			}
		})
	}
}

// keepSpy notes whether a connection was kept after the body.
type keepSpy struct{ kept bool }

func (k *keepSpy) converse(raw string, piece int) (*Response, []byte, error) {
	resp, body, err := converse("GET", raw, piece)
	if resp != nil {
		k.kept = resp.netConn.uses > 0 && !resp.netConn.broken && resp.netConn.in.len() == 0 && resp.netConn.state.Load() == connReleased
	}
	return resp, body, err
}

// differentialSeeds are responses for comparison with the standard library.
var differentialSeeds = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.0 200 OK\r\n\r\nto the end",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n",
	"HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	"HTTP/1.1 404 Not Found\nX: 1\n 2\nContent-Length: 0\n\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
	"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html;charset=x\r\n\r\n<p>",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\na\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000000001 ;a\r\na\r\n0 ;b\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
	"ICY 200 OK\r\n\r\nmusic",
}

// compareWithStandard checks that a response which the standard library takes is
// the same to us: status, fields, body, and whether it is whole.
// It reports whether the standard library takes it.
func compareWithStandard(t testing.TB, raw string) bool {
	r := bufio.NewReaderSize(strings.NewReader(raw), 1<<20)
	want, werr := http.ReadResponse(r, &http.Request{Method: "GET"})
	if werr != nil || want.StatusCode < 200 || want.StatusCode > 999 || want.ProtoMajor != 1 {
		return false
	}
	wantBody, werr := io.ReadAll(want.Body)
	got, body, err := converse("GET", raw, 0)
	if got == nil {
		t.Fatalf("%q: refused: %v", raw, err)
	}
	if got.StatusCode != want.StatusCode {
		t.Errorf("%q: status %d, want %d", raw, got.StatusCode, want.StatusCode)
	}
	if got.Defects()&(DefectFieldName|DefectContentLength|DefectTransferCoding|DefectLeadingSpace|DefectNoColon|DefectControl|DefectSpaceBeforeColon) != 0 {
		return true // the two are lenient in ways of their own
	}
	if err != nil && werr == nil || err == nil && cutOrSpoilt(werr) && got.Defects()&DefectChunkLine == 0 {
		t.Errorf("%q: body error %v, want %v", raw, err, werr)
	}
	if err == nil && werr == nil && !bytes.Equal(body, wantBody) || !bytes.HasPrefix(body, wantBody) && !bytes.HasPrefix(wantBody, body) {
		t.Errorf("%q: body %q, want %q", raw, body, wantBody)
	}
	for name, values := range want.Header {
		if name != textproto.CanonicalMIMEHeaderKey(name) || name == "Trailer" {
			continue
		}
		if name == "Content-Length" && got.Defects()&DefectRepeatedLength != 0 {
			continue // the standard library has it once
		}
		if !slices.Equal(trimAll(got.Header()[name]), trimAll(values)) {
			t.Errorf("%q: %s is %q, want %q", raw, name, got.Header()[name], values)
		}
	}
	return true
}

// cutOrSpoilt tells whether the standard library's error is about a body that ends
// too early or has bytes outside of its chunks. It has others, of framing and trailers
// that are odd and leave no doubt about the body, such as a size with many zeros.
func cutOrSpoilt(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || err != nil &&
		(err.Error() == "http: unexpected EOF reading trailer" || err.Error() == "malformed chunked encoding")
}

// trimAll makes folded values comparable: the two differ in the white space that
// stands for a line break.
func trimAll(values []string) (out []string) {
	for _, v := range values {
		out = append(out, strings.Join(strings.Fields(v), " "))
	}
	return out
}

func TestAgreesWithStandard(t *testing.T) {
	for _, raw := range differentialSeeds {
		compareWithStandard(t, raw)
	}
}

// recordedResponses returns the responses of testdata/responses by name.
func recordedResponses(t testing.TB) map[string]string {
	t.Helper()
	names, err := filepath.Glob("testdata/responses/*.http")
	if err != nil || len(names) < 50 {
		t.Fatalf("%d recorded responses, %v", len(names), err)
	}
	all := map[string]string{}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".http")] = string(raw)
	}
	return all
}

// TestRecordedResponses: what real servers say, and odd things that some have said,
// is taken, the same in one piece and byte by byte, and as the standard library has it
// where that takes it. Only the odd ones have defects, or bodies that are not whole.
func TestRecordedResponses(t *testing.T) {
	both := 0
	for name, raw := range recordedResponses(t) {
		t.Run(name, func(t *testing.T) {
			if compareWithStandard(t, raw) {
				both++
			}
			resp, body, err := converse("GET", raw, 0)
			if resp == nil {
				t.Fatal(err)
			}
			slow, slowBody, slowErr := converse("GET", raw, 1)
			if slow == nil || slow.StatusCode != resp.StatusCode || slow.Defects() != resp.Defects() || !bytes.Equal(slowBody, body) || (slowErr == nil) != (err == nil) {
				t.Fatalf("in one piece %d, %q, %v; byte by byte %d, %q, %v", resp.StatusCode, body, err, slow.StatusCode, slowBody, slowErr)
			}
			if !strings.HasPrefix(name, "odd-") && (err != nil || resp.Defects() != 0) {
				t.Errorf("%v, defects %v", err, resp.Defects())
			}
			if strings.HasPrefix(name, "odd-") && string(body) != "body" && name != "odd-icecast" {
				t.Errorf("body %q", body)
			}
		})
	}
	if both < 80 {
		t.Errorf("only %d were compared with the standard library", both)
	}
}

func FuzzResponse(f *testing.F) {
	for _, raw := range recordedResponses(f) {
		if len(raw) < 1000 {
			f.Add(raw)
		}
	}
	for _, raw := range differentialSeeds {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) { compareWithStandard(t, raw) })
}

func FuzzHead(f *testing.F) {
	for _, raw := range differentialSeeds {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = raw[skipBlank(raw):]
		end, _ := headEnd(raw, 0)
		if end == 0 {
			return
		}
		var h head
		if h.parse(raw[:end], DefaultMaxLine) != nil {
			return
		}
		last := uint32(0)
		for i := range h.fields {
			fl := &h.fields[i]
			if fl.name < last || fl.name >= fl.nameEnd || fl.nameEnd > fl.value || fl.value > fl.valueEnd || int(fl.valueEnd) > end {
				t.Fatalf("field %+v", fl)
			}
			last = fl.name
			if bytes.ContainsAny(h.name(fl), ":\n") || bytes.IndexByte(h.value(fl), '\n') >= 0 {
				t.Fatalf("%q: %q", h.name(fl), h.value(fl))
			}
		}
		if _, length, _ := h.frame("GET", true); length < -1 {
			t.Fatal(length)
		}
		h.keepsAlive()
		_ = h.defects.String()
	})
}

func FuzzChunks(f *testing.F) {
	f.Add("3\r\nabc\r\n0\r\n\r\n")
	f.Add("1;x\na\n0\nX: y\n\n")
	f.Add("0\r\n" + strings.Repeat("X: y\r\n", 9))
	f.Add("7fffffffffffffff\r\n")
	f.Fuzz(func(t *testing.T, chunks string) {
		const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		whole, a, err := converse("GET", head+chunks, 0)
		if whole == nil {
			t.Fatal(err)
		}
		_, b, err2 := converse("GET", head+chunks, 3)
		if !bytes.Equal(a, b) || (err == nil) != (err2 == nil) {
			t.Fatalf("at once %q, %v; in pieces %q, %v", a, err, b, err2)
		}
		if err != nil && !errors.Is(err, ErrPayload) {
			t.Fatal(err)
		}
	})
}

func FuzzContentType(f *testing.F) {
	for _, s := range []string{"text/html; charset=utf-8", `a/b; c="d\"; charset=x"`, ";;;=", "text/html,text/html;charset=a,b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		mediaType, charset := ParseContentType(s)
		if mediaType == "" || mediaType != strings.ToLower(mediaType) || strings.ContainsAny(charset, ";, ") && !strings.Contains(s, `"`) {
			t.Fatalf("%q, %q", mediaType, charset)
		}
	})
}

func FuzzLink(f *testing.F) {
	for _, s := range []string{`<a>; rel=next, <b>; rel="x y"; title="a,b"`, "<<>>", `<a>;rel="`, ",,<>;;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, l := range ParseLinks(s) {
			if !strings.Contains(s, l.URL) || strings.ContainsAny(l.Rel, "ABC\t") {
				t.Fatalf("%+v", l)
			}
		}
	})
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"http://h/", "https://u:p@h:1/%zz?q#f", "http://[::1]:80", "http://bücher/ä ", "http://1.2.3.4.", "HTTP://A.:080?x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseTarget(s, false)
		if err != nil {
			return
		}
		if strings.ContainsAny(a.url, " \r\n\t\x00") || a.host == "" || a.path[0] != '/' || a.host != strings.ToLower(a.host) {
			t.Fatalf("%q: %+v", s, a)
		}
		b, err := parseTarget(a.url, false)
		if err != nil || b.url != a.url || !a.sameOrigin(&b) {
			t.Fatalf("%q: %q again is %q, %v", s, a.url, b.url, err)
		}
	})
}

func TestParseLinks(t *testing.T) {
	got := ParseLinks(`</a?x,y>; rel="Next  Prefetch"; title="one, \"two\""; rel=late, <b>;anchor=#x , junk, < c >`)
	if len(got) != 3 || got[0].URL != "/a?x,y" || got[0].Rel != "next prefetch" || got[0].Params["title"] != `one, "two"` ||
		got[1].URL != "b" || got[1].Params["anchor"] != "#x" || got[2].URL != "c" {
		t.Errorf("%+v", got)
	}
}

// TestRequestSplitting: nothing a caller passes can end a line of the request.
func TestRequestSplitting(t *testing.T) {
	srv := mirror(t)
	s := newSession(t, Config{})
	for _, u := range []string{"/a b", "/a\r\nX: y", "/a%0d%0aX: y", "/\x00", "/é\n"} {
		got := fetch(t, s, srv.URL+u)
		hasNot(t, got, "\r\nx: y")
		if strings.Count(requestLine(got), " ") != 2 {
			t.Errorf("%q: %q", u, requestLine(got))
		}
	}
	if _, err := s.Get(t.Context(), srv.URL+"/a\r\nX: y", Verbatim()); !errors.Is(err, ErrInvalidURL) {
		t.Error(err)
	}
	if _, err := New(Config{Header: http.Header{"X": {"a\nb"}}}); err == nil {
		t.Error("a default field with a line break was taken")
	}
	got := fetch(t, s, srv.URL, Cookies(&http.Cookie{Name: "a", Value: "b\r\nX: y"}, &http.Cookie{Name: "ok", Value: "1"}))
	has(t, got, "Cookie: ok=1")
}

// TestMinRateOfPieces: all that comes of a body counts, also what one read brings along with a line of framing, or with
// more than the caller takes at once.
func TestMinRateOfPieces(t *testing.T) {
	const rounds = 40
	piece := strings.Repeat("x", 1<<10)
	for name, v := range map[string]struct {
		head, piece, end string
		read             int
	}{
		"chunks": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "400\r\n" + piece + "\r\n", "0\r\n\r\n", 4 << 10},
		"bytes":  {"HTTP/1.1 200 OK\r\n\r\n", piece, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTCP(t, TCPConfig{Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
					client, server := net.Pipe()
					go func() {
						defer server.Close()
						go func() { _, _ = io.Copy(io.Discard, server) }()
						_, _ = io.WriteString(server, v.head)
						for range rounds {
							time.Sleep(time.Second)
							_, _ = io.WriteString(server, v.piece)
						}
						_, _ = io.WriteString(server, v.end)
					}()
					return client, nil
				}})
				s := newSession(t, Config{Connector: c, Jar: DummyJar{}, Timeout: Timeout{MinRate: 500}})
				resp, err := s.Get(t.Context(), "http://127.0.0.1/")
				if err != nil {
					t.Fatal(err)
				}
				n, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{resp.Body}, make([]byte, v.read))
				if n != rounds*int64(len(piece)) || err != nil {
					t.Errorf("%d bytes, %v", n, err)
				}
				_ = s.Close()
				time.Sleep(time.Minute) // the peer is done
			})
		})
	}
}

// TestSlowPeers runs peers that never end against the limits, in virtual time:
// each fails with its phase, in time, and no slot is lost.
func TestSlowPeers(t *testing.T) {
	const limit = 10 * time.Second
	drip := func(start, again string) func(net.Conn) {
		return func(c net.Conn) {
			_, err := io.WriteString(c, start)
			for err == nil {
				time.Sleep(time.Second)
				_, err = io.WriteString(c, again)
			}
		}
	}
	flood := func(start, again string) func(net.Conn) {
		return func(c net.Conn) {
			_, err := io.WriteString(c, start)
			for err == nil {
				_, err = io.WriteString(c, again)
			}
		}
	}
	const oh, chunked = "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, v := range []struct {
		name    string
		peer    func(net.Conn)
		timeout Timeout
		class   error
		phase   Phase
		within  time.Duration
		kept    string // how the body begins that came before
	}{
		{"silence", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, Timeout{FirstByte: limit}, ErrServerTimeout, PhaseFirstByte, limit, ""},
		{"dripping head", drip(oh, "X: y\r\n"), Timeout{FirstByte: limit}, ErrServerTimeout, PhaseFirstByte, limit, ""},
		{"dripping interim responses", drip("", "HTTP/1.1 103 Early\r\n\r\n"), Timeout{FirstByte: limit}, ErrServerTimeout, PhaseFirstByte, limit, ""},
		{"endless head", flood(oh, strings.Repeat("X: yyyy\r\n", 1000)), Timeout{}, ErrProtocol, 0, limit, ""},
		{"endless field", flood(oh+"X: ", strings.Repeat("y", 10_000)), Timeout{}, ErrProtocol, 0, limit, ""},
		{"stalled body", func(c net.Conn) {
			_, _ = io.WriteString(c, oh+"Content-Length: 5\r\n\r\nab")
			_, _ = io.Copy(io.Discard, c)
		}, Timeout{Idle: limit}, ErrServerTimeout, PhaseIdle, limit, "ab"},
		{"dripping body", drip(oh+"\r\n", "x"), Timeout{Idle: limit, MinRate: 100}, ErrServerTimeout, PhaseRate, 2 * limit, "x"},
		{"dripping body without rate", drip(oh+"\r\n", "x"), Timeout{Idle: limit, Total: time.Minute}, ErrServerTimeout, PhaseTotal, time.Minute, "x"},
		{"dripping chunks", drip(chunked, "1\r\nx\r\n"), Timeout{Idle: limit, MinRate: 100}, ErrServerTimeout, PhaseRate, 2 * limit, "x"},
		{"endless chunk line", flood(chunked, strings.Repeat("0", 1000)), Timeout{}, ErrPayload, 0, limit, ""},
		{"endless chunk extensions", flood(chunked, "1;"+strings.Repeat("x", 1000)+"\r\na\r\n"), Timeout{}, ErrPayload, 0, limit, "a"},
		{"endless trailer", flood(chunked+"0\r\n", "X: y\r\n"), Timeout{}, ErrPayload, 0, limit, ""},
	} {
		t.Run(v.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTCP(t, TCPConfig{Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
					a, b := net.Pipe()
					go func() {
						defer b.Close()
						go func() { _, _ = io.Copy(io.Discard, b) }()
						v.peer(b)
					}()
					return a, nil
				}})
				s := newSession(t, Config{Connector: c, Jar: DummyJar{}})
				start := time.Now()
				resp, err := s.Get(t.Context(), "http://127.0.0.1/", WithTimeout(v.timeout))
				if err == nil {
					var b []byte
					if b, err = resp.AppendBody(nil); !strings.HasPrefix(string(b), v.kept) || !resp.Truncated() {
						t.Errorf("body %q, truncated %v", b, resp.Truncated())
					}
				}
				var te *TimeoutError
				if !errors.Is(err, v.class) || v.phase != 0 && (!errors.As(err, &te) || te.Phase != v.phase) {
					t.Errorf("error %v", err)
				}
				if took := time.Since(start); took > v.within+time.Second {
					t.Errorf("after %v", took)
				}
				if st := c.Stats(); st.Held() != 0 || st.Idle != 0 {
					t.Errorf("%+v", st)
				}
				_ = s.Close()
				time.Sleep(2 * time.Second) // the peer notices
			})
		})
	}
}

// TestEndlessBody: a body without end is cut at the limit and costs nothing more.
func TestEndlessBody(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, 32<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	s := newSession(t, Config{MaxBody: 100_000})
	resp, b := get(t, s, srv.URL)
	if len(b) != 100_000 || !resp.Truncated() {
		t.Errorf("%d bytes, truncated %v", len(b), resp.Truncated())
	}
}

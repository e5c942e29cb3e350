package httpclient

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
)

// wholeCase is a coded body as a server may send it.
type wholeCase struct {
	name   string
	coding string
	coded  []byte
	short  int // bytes of it that never come
	frame  string
}

func (c wholeCase) write(w io.Writer) {
	fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\n", c.coding)
	switch sent := c.coded[:len(c.coded)-c.short]; c.frame {
	case "length":
		fmt.Fprintf(w, "Content-Length: %d\r\n\r\n%s", len(c.coded), sent)
	case "close":
		fmt.Fprintf(w, "Connection: close\r\n\r\n%s", sent)
	case "chunked":
		fmt.Fprint(w, "Transfer-Encoding: chunked\r\n\r\n")
		for len(sent) > 0 {
			n := min(len(sent), 7000)
			fmt.Fprintf(w, "%x\r\n%s\r\n", n, sent[:n])
			sent = sent[n:]
		}
		if c.short == 0 {
			fmt.Fprint(w, "0\r\n\r\n")
		}
	}
}

func wholeCases(t *testing.T) (list []wholeCase) {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, maxWhole+200_000) // which no coding makes shorter
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	add := func(name, coding string, coded []byte) {
		for _, frame := range []string{"length", "chunked", "close"} {
			list = append(list, wholeCase{name, label(coding), coded, 0, frame})
			if len(coded) > 100 {
				list = append(list, wholeCase{name + " cut", label(coding), coded, 20, frame})
			}
		}
	}
	for _, coding := range []string{"gzip", "deflate", "raw deflate"} {
		for _, size := range []int{0, 1, 100, 30_000, 300_000} {
			add(fmt.Sprint(coding, " ", size), coding, encode(t, coding, page(size)))
		}
		add(coding+" too long", coding, encode(t, coding, noise))
		add(coding+" and more", coding, append(encode(t, coding, page(5_000)), "<!-- more -->"...))
		add(coding+" bomb", coding, encode(t, coding, make([]byte, 4<<20)))
		damaged := encode(t, coding, page(50_000))
		damaged[len(damaged)/2] ^= 0x55
		add(coding+" damaged", coding, damaged)
	}
	add("members", "gzip", append(encode(t, "gzip", page(3_000)), encode(t, "gzip", page(4_000))...))
	add("no gzip", "gzip", page(3_000))
	add("no deflate", "deflate", page(30_000))
	add("little", "gzip", []byte("\x1f"))
	return list
}

// AppendBody gives what reading the body as a stream gives, whatever is wrong with it.
func TestWholeBodyIsStream(t *testing.T) {
	cases := wholeCases(t)
	srv := serveRaw(t, func(s *rawServer, c net.Conn) {
		r := bufio.NewReader(c)
		for {
			raw, err := s.read(r)
			if err != nil {
				return
			}
			_, path, _ := strings.Cut(raw, "/")
			path, _, _ = strings.Cut(path, " ")
			i, err := strconv.Atoi(path)
			if err != nil {
				t.Error(err)
				return
			}
			cases[i].write(c)
			if cases[i].short > 0 || cases[i].frame == "close" {
				return
			}
		}
	})
	s := newSession(t, Config{})
	for i, c := range cases {
		for _, most := range []int64{0, 2_000} {
			get := func(raw io.Writer) *Response {
				req, err := NewRequest("GET", fmt.Sprintf("%s/%d", srv.URL, i))
				if err != nil {
					t.Fatal(err)
				}
				req.RawBody, req.MaxBody = raw, most
				resp, err := s.Do(t.Context(), req)
				if err != nil {
					t.Fatal(c.name, err)
				}
				return resp
			}
			stream := get(nil)
			want, werr := io.ReadAll(stream.Body)
			cut := most > 0 && int64(len(want)) > most
			if cut {
				want, werr = want[:most], nil
			}
			var raw, other bytes.Buffer
			raw.WriteString("kept: ")
			for name, tee := range map[string]io.Writer{"none": nil, "buffer": &raw, "writer": struct{ io.Writer }{&other}} {
				resp := get(tee)
				got, err := resp.AppendBody([]byte("x"))
				resp.Release()
				fail := func(why string) {
					t.Errorf("%s, %s, MaxBody %d, RawBody %s: %s: %d bytes, %v; as a stream %d, %v",
						c.name, c.frame, most, name, why, len(got)-1, err, len(want), werr)
				}
				var pe, wpe *PayloadError
				switch {
				case resp.Truncated() != (cut || werr != nil):
					fail("truncated or not")
				case errors.As(err, &pe) != errors.As(werr, &wpe), pe != nil && pe.Kind != wpe.Kind:
					fail("another error")
				case errors.Is(werr, ErrDecodeRatio): // noticed by the stream some time later
					if len(got)-1 > max(ratioFloor, (len(c.coded)+1)*DefaultDecodeRatio) || len(got) <= ratioFloor {
						fail("not the limit")
					}
				case errors.Is(werr, io.ErrUnexpectedEOF): // the last bits of a stream are of no use to klauspost's reader
					if !bytes.HasPrefix(got[1:], want) || len(got)-1 > len(want)+64 {
						fail("not the same of a cut body")
					}
				case got[0] != 'x' || !bytes.Equal(got[1:], want):
					fail("not the same")
				case !cut && fmt.Sprint(resp.CodingDefects()) != fmt.Sprint(stream.CodingDefects()):
					fail(fmt.Sprint("other defects", resp.CodingDefects(), stream.CodingDefects()))
				}
			}
			sent := c.coded[:len(c.coded)-c.short]
			for name, kept := range map[string][]byte{"buffer": bytes.TrimPrefix(raw.Bytes(), []byte("kept: ")), "writer": other.Bytes()} {
				if !bytes.HasPrefix(sent, kept) || most == 0 && werr == nil && len(kept) < len(sent) {
					t.Errorf("%s, %s, MaxBody %d: %d bytes kept in a %s, %d sent", c.name, c.frame, most, len(kept), name, len(sent))
				}
			}
		}
	}
	if st := s.Connector().Stats(); st.InUse != 0 {
		t.Errorf("%d connections still in use", st.InUse)
	}
}

// TestAppendBodyUnlimited: without a limit a body is appended to what is there, too.
func TestAppendBodyUnlimited(t *testing.T) {
	s := newSession(t, Config{MaxBody: Unlimited})
	zipped := string(encode(t, "gzip", []byte("hello")))
	for _, raw := range []string{ok("hello"), ok(zipped, "Content-Encoding: gzip"), "HTTP/1.1 200 OK\r\n\r\nhello"} {
		resp, err := s.Get(t.Context(), say(t, raw).URL)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := resp.AppendBody([]byte("say ")); string(b) != "say hello" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	}
}

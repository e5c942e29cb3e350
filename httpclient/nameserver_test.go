package httpclient

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers on loopback with what reply makes of a question, by UDP and TCP; nothing, one or several messages.
func nameServer(t *testing.T, reply func(q dnsmessage.Message, network string) []dnsmessage.Message) netip.AddrPort {
	t.Helper()
	pc, l := listenBoth(t)
	done := make(chan struct{}, 2)
	answers := func(msg []byte, network string) (out [][]byte) {
		var q dnsmessage.Message
		if err := q.Unpack(msg); err != nil || len(q.Questions) != 1 {
			t.Errorf("question %x: %v", msg, err)
			return nil
		}
		for _, m := range reply(q, network) {
			b, err := m.Pack()
			if err != nil {
				t.Error(err)
			}
			out = append(out, b)
		}
		return out
	}
	go func() {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, b := range answers(buf[:n], "udp") {
				_, _ = pc.WriteTo(b, from)
			}
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var size [2]byte
			_, _ = io.ReadFull(c, size[:])
			msg := make([]byte, binary.BigEndian.Uint16(size[:]))
			_, _ = io.ReadFull(c, msg)
			for _, b := range answers(msg, "tcp") {
				_, _ = c.Write(binary.BigEndian.AppendUint16(nil, uint16(len(b))))
				_, _ = c.Write(b)
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = pc.Close()
		_ = l.Close()
		<-done
		<-done
	})
	return netip.MustParseAddrPort(pc.LocalAddr().String())
}

// says answers q with records.
func says(q dnsmessage.Message, records ...dnsmessage.Resource) dnsmessage.Message {
	return dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RecursionDesired: true, RecursionAvailable: true}, Questions: q.Questions, Answers: records}
}

func refuses(q dnsmessage.Message, code dnsmessage.RCode) dnsmessage.Message {
	m := says(q)
	m.RCode = code
	return m
}

func record(name string, ttl uint32, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name + "."), Class: dnsmessage.ClassINET, TTL: ttl}, Body: body}
}

func host4(name string, ttl uint32, last byte) dnsmessage.Resource {
	return record(name, ttl, &dnsmessage.AResource{A: [4]byte{192, 0, 2, last}})
}

func host6(name string, ttl uint32, last byte) dnsmessage.Resource {
	return record(name, ttl, &dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: last}})
}

func alias(name, to string, ttl uint32) dnsmessage.Resource {
	return record(name, ttl, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to + ".")})
}

func asksA(q dnsmessage.Message) bool { return q.Questions[0].Type == dnsmessage.TypeA }

func hasEDNS(q dnsmessage.Message) bool {
	return slices.ContainsFunc(q.Additionals, func(r dnsmessage.Resource) bool { return r.Header.Type == dnsmessage.TypeOPT })
}

func one(m dnsmessage.Message) []dnsmessage.Message { return []dnsmessage.Message{m} }

// TestNameserverResolver: what servers answer, good and bad.
func TestNameserverResolver(t *testing.T) {
	ip := netip.MustParseAddr
	chain := func(n int) (records []dnsmessage.Resource) {
		for i := range n {
			records = append(records, alias(fmt.Sprintf("a%d.test", i), fmt.Sprintf("a%d.test", i+1), 60))
		}
		return append(records, host4(fmt.Sprintf("a%d.test", n), 60, 1))
	}
	for _, v := range []struct {
		name     string
		host     string // "": h.test
		family   Family
		reply    func(q dnsmessage.Message, network string) []dnsmessage.Message
		addrs    []netip.Addr
		ttl      time.Duration
		notFound bool
		temp     bool
		cause    error
	}{
		{name: "both families", reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			if asksA(q) {
				return one(says(q, host4("h.test", 300, 1), host4("h.test", 200, 2)))
			}
			return one(says(q, host6("h.test", 60, 1)))
		}, addrs: []netip.Addr{ip("192.0.2.1"), ip("192.0.2.2"), ip("2001:db8::1")}, ttl: time.Minute},
		{name: "only IPv4", reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			if asksA(q) {
				return one(says(q, host4("h.test", 300, 1)))
			}
			return one(says(q))
		}, addrs: []netip.Addr{ip("192.0.2.1")}, ttl: 5 * time.Minute},
		{name: "the other family fails", reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			if asksA(q) {
				return one(says(q, host4("h.test", 300, 1)))
			}
			return one(refuses(q, dnsmessage.RCodeServerFailure))
		}, addrs: []netip.Addr{ip("192.0.2.1")}, ttl: 5 * time.Minute},
		{name: "case of letters", family: IPv4, reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			q.Questions[0].Name = dnsmessage.MustNewName("H.TeSt.")
			return one(says(q, host4("h.TEST", 1, 1)))
		}, addrs: []netip.Addr{ip("192.0.2.1")}, ttl: time.Second},
		{name: "aliases", host: "a0.test", family: IPv4, reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			r := chain(maxAliases)
			slices.Reverse(r)
			r[3].Header.TTL = 7
			return one(says(q, r...))
		}, addrs: []netip.Addr{ip("192.0.2.1")}, ttl: 7 * time.Second},
		{name: "too many aliases", host: "a0.test", family: IPv4, reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			return one(says(q, chain(maxAliases+1)...))
		}, temp: true, cause: errAliases},
		{name: "alias of itself", family: IPv4, reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			return one(says(q, alias("h.test", "h.test", 60)))
		}, temp: true, cause: errAliases},
		{name: "alias to nowhere", reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			return one(says(q, alias("h.test", "i.test", 60)))
		}, notFound: true, cause: errNoAddresses},
		{name: "addresses of another name", reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			return one(says(q, host4("evil.test", 60, 66), host6("evil.test", 60, 66)))
		}, notFound: true, cause: errNoAddresses},
		{name: "addresses of the other family", family: IPv6, reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			return one(says(q, host4("h.test", 60, 66)))
		}, notFound: true, cause: errNoAddresses},
		{name: "forged, then true", family: IPv4, reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			id, question, query := says(q, host4("h.test", 60, 66)), says(q, host4("h.test", 60, 66)), says(q)
			id.ID++
			question.Questions = []dnsmessage.Question{{Name: dnsmessage.MustNewName("evil.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}
			query.Response = false
			two := says(q, host4("h.test", 60, 66))
			two.Questions = append(slices.Clone(q.Questions), q.Questions[0])
			none := says(q, host4("h.test", 60, 66))
			none.Questions = nil
			return []dnsmessage.Message{id, question, query, two, none, says(q, host4("h.test", 60, 1))}
		}, addrs: []netip.Addr{ip("192.0.2.1")}, ttl: time.Minute},
		{name: "forged without end", family: IPv4, reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			q.ID++
			return slices.Repeat(one(says(q, host4("h.test", 60, 66))), maxStray)
		}, temp: true, cause: errStray},
		{name: "long answer by TCP", family: IPv4, reply: func(q dnsmessage.Message, network string) []dnsmessage.Message {
			m := says(q, host4("h.test", 60, 66))
			if m.Truncated = true; network == "tcp" {
				m = says(q)
				for i := range maxAddresses + 10 {
					m.Answers = append(m.Answers, host4("h.test", 60, byte(i)))
				}
			}
			return one(m)
		}, addrs: func() (a []netip.Addr) {
			for i := range maxAddresses {
				a = append(a, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
			}
			return a
		}(), ttl: time.Minute},
		{name: "truncated by TCP too", family: IPv4, reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			m := says(q, host4("h.test", 60, 66))
			m.Truncated = true
			return one(m)
		}, temp: true, cause: errTruncated},
		{name: "forged by TCP", family: IPv4, reply: func(q dnsmessage.Message, network string) []dnsmessage.Message {
			m := says(q, host4("h.test", 60, 66))
			if m.Truncated = network == "udp"; network == "tcp" {
				m.ID++
			}
			return one(m)
		}, temp: true, cause: errStray},
		{name: "no EDNS", family: IPv4, reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			if hasEDNS(q) {
				m := refuses(q, dnsmessage.RCodeFormatError)
				m.Questions = nil
				return one(m)
			}
			return one(says(q, host4("h.test", 60, 1)))
		}, addrs: []netip.Addr{ip("192.0.2.1")}, ttl: time.Minute},
		{name: "no such host", reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			return one(refuses(q, dnsmessage.RCodeNameError))
		}, notFound: true, cause: errNoSuchName},
		{name: "failure", reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			return one(refuses(q, dnsmessage.RCodeServerFailure))
		}, temp: true, cause: rcodeError{dnsmessage.RCodeServerFailure}},
		{name: "refusal", reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			return one(refuses(q, dnsmessage.RCodeRefused))
		}, cause: rcodeError{dnsmessage.RCodeRefused}},
		{name: "lame", reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			m := says(q)
			m.RecursionAvailable = false
			return one(m)
		}, temp: true, cause: errLameServer},
		{name: "no time to live", family: IPv4, reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			return one(says(q, host4("h.test", 0, 1)))
		}, addrs: []netip.Addr{ip("192.0.2.1")}, ttl: 1},
		{name: "absurd time to live", family: IPv4, reply: func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			return one(says(q, host4("h.test", 1<<31, 1)))
		}, addrs: []netip.Addr{ip("192.0.2.1")}, ttl: 1},
	} {
		t.Run(v.name, func(t *testing.T) {
			if v.host == "" {
				v.host = "h.test"
			}
			r := &NameserverResolver{Addrs: []netip.AddrPort{nameServer(t, v.reply)}, Timeout: time.Minute}
			addrs, ttl, err := r.Resolve(t.Context(), v.host, v.family)
			if v.addrs != nil {
				if slices.SortFunc(addrs, netip.Addr.Compare); err != nil || !slices.Equal(addrs, v.addrs) || ttl != v.ttl {
					t.Errorf("%v for %v, %v", addrs, ttl, err)
				}
				return
			}
			var de *DNSError
			if !errors.As(err, &de) || de.Host != v.host || de.NotFound != v.notFound || de.Temporary != v.temp || !errors.Is(err, v.cause) {
				t.Errorf("%v, %#v", addrs, err)
			}
		})
	}
}

// TestNameserverResolverNames: names that no server is asked about.
func TestNameserverResolverNames(t *testing.T) {
	r := &NameserverResolver{Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}, Dial: func(context.Context, string, netip.AddrPort) (net.Conn, error) {
		t.Error("a server is asked")
		return nil, errors.New("none")
	}}
	for _, host := range []string{"", "a..b", ".a", strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 130)} {
		var de *DNSError
		if _, _, err := r.Resolve(t.Context(), host, AnyIP); !errors.As(err, &de) || !de.NotFound {
			t.Errorf("%q: %v", host, err)
		}
	}
	for family, want := range map[Family]string{AnyIP: "[::1 127.0.0.1]", IPv4: "[127.0.0.1]", IPv6: "[::1]"} {
		for _, host := range []string{"localhost", "app.localhost"} {
			if addrs, _, err := r.Resolve(t.Context(), host, family); fmt.Sprint(addrs) != want || err != nil {
				t.Errorf("%s: %v, %v", host, addrs, err)
			}
		}
	}
	if _, _, err := new(NameserverResolver).Resolve(t.Context(), "h.test", AnyIP); err == nil {
		t.Error("a resolver without servers resolves")
	}
}

// silentServers are servers in a bubble of which only one answers questions of some kind, at once.
func silentServers(speaks func(server netip.AddrPort, q dnsmessage.Message) bool) func(context.Context, string, netip.AddrPort) (net.Conn, error) {
	return func(_ context.Context, _ string, server netip.AddrPort) (net.Conn, error) {
		client, far := net.Pipe()
		go func() {
			defer far.Close()
			buf := make([]byte, 1500)
			for {
				n, err := far.Read(buf)
				if err != nil {
					return
				}
				var q dnsmessage.Message
				if q.Unpack(buf[:n]) == nil && speaks(server, q) {
					m := says(q, host4("h.test", 60, 1))
					b, _ := m.Pack()
					_, _ = far.Write(b)
				}
			}
		}()
		return client, nil
	}
}

// TestNameserversSilent: what servers that do not answer cost.
func TestNameserversSilent(t *testing.T) {
	servers := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:0"), netip.MustParseAddrPort("192.0.2.2:5353"), netip.MustParseAddrPort("192.0.2.3:53")}
	t.Run("all", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := &NameserverResolver{Addrs: servers, Dial: silentServers(func(netip.AddrPort, dnsmessage.Message) bool { return false })}
			start := time.Now()
			_, _, err := r.Resolve(t.Context(), "h.test", AnyIP)
			var de *DNSError
			if !errors.As(err, &de) || !de.Temporary || time.Since(start) != DefaultNameserverRounds*3*DefaultNameserverTimeout {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("all but one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := &NameserverResolver{Addrs: servers, Rounds: 1, Timeout: time.Second, Dial: silentServers(func(a netip.AddrPort, _ dnsmessage.Message) bool {
				return a == netip.MustParseAddrPort("192.0.2.1:53")
			})}
			start := time.Now()
			addrs, _, err := r.Resolve(t.Context(), "h.test", IPv4)
			if err != nil || len(addrs) != 1 || time.Since(start) > 2*time.Second {
				t.Errorf("%v, %v after %v", addrs, err, time.Since(start))
			}
		})
	})
	t.Run("about one family", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := &NameserverResolver{Addrs: servers, Dial: silentServers(func(_ netip.AddrPort, q dnsmessage.Message) bool { return asksA(q) })}
			start := time.Now()
			addrs, ttl, err := r.Resolve(t.Context(), "h.test", AnyIP)
			if err != nil || len(addrs) != 1 || ttl != time.Minute || time.Since(start) != lateFamily {
				t.Errorf("%v, %v after %v", addrs, err, time.Since(start))
			}
		})
	})
	t.Run("caller leaves", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := &NameserverResolver{Addrs: servers, Dial: silentServers(func(netip.AddrPort, dnsmessage.Message) bool { return false })}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			start := time.Now()
			if _, _, err := r.Resolve(ctx, "h.test", AnyIP); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Millisecond {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	})
}

// TestDNSCacheTTL: an answer holds as long as it says, within bounds.
func TestDNSCacheTTL(t *testing.T) {
	for _, v := range []struct {
		says, max, holds time.Duration
	}{
		{0, 0, DefaultDNSTTL}, {1, 0, minDNSTTL}, {time.Minute, 0, time.Minute},
		{time.Hour, 0, DefaultMaxDNSTTL}, {time.Hour, 30 * time.Minute, 30 * time.Minute}, {0, time.Second, DefaultDNSTTL},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &staticResolver{hosts: map[string][]netip.Addr{"h.test": loopback()}, ttl: v.says}
			c := newTCP(t, TCPConfig{Resolver: r, MaxDNSTTL: v.max})
			for i, wait := range []time.Duration{0, v.holds - 1, 1} {
				time.Sleep(wait)
				if _, cached, err := c.dns.lookup(t.Context(), "h.test", 0); cached != (i == 1) || err != nil {
					t.Errorf("%v, step %d: cached %v, %v", v, i, cached, err)
				}
			}
		})
	}
}

// deafResolver goes on whatever its context says.
type deafResolver struct{ end chan struct{} }

func (r deafResolver) Resolve(_ context.Context, host string, _ Family) ([]netip.Addr, time.Duration, error) {
	if host == "slow.test" {
		<-r.end
	}
	return loopback(), 0, nil
}

// TestMaxLookups: look-ups that outlive those who wanted them keep their places.
func TestMaxLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := deafResolver{make(chan struct{})}
		c := newTCP(t, TCPConfig{Resolver: r, MaxLookups: 1})
		s := newSession(t, Config{Connector: c, Timeout: Timeout{DNS: time.Second}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Get(ctx, "http://slow.test/"); !errors.Is(err, ErrServerTimeout) {
			t.Error(err)
		}
		var te *TimeoutError
		if _, err := s.Get(t.Context(), "http://quick.test/"); !errors.As(err, &te) || te.Phase != PhaseDNS || !errors.Is(err, ErrTooManyLookups) {
			t.Errorf("%v", err)
		}
		close(r.end)
		synctest.Wait()
		if _, _, err := c.dns.lookup(t.Context(), "quick.test", time.Second); err != nil {
			t.Error(err)
		}
	})
}

// TestTLSSessions: a connector that remembers a server's session resumes it.
func TestTLSSessions(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer srv.Close()
	for sessions, want := range map[int]bool{0: true, 1: true, -1: false} {
		c := newTCP(t, TCPConfig{PoolConfig: PoolConfig{ForceClose: true}, TLS: rootsOf(srv), TLSSessions: sessions})
		s := newSession(t, Config{Connector: c})
		for i := range 2 {
			resumed := false
			trace := &Trace{GotConn: func(c GotConn) { resumed = c.Conn.TLS().DidResume }}
			if text := fetch(t, s, srv.URL, WithTrace(trace)); text != "hello" || resumed != (want && i == 1) {
				t.Errorf("TLSSessions %d: connection %d: resumed %v", sessions, i, resumed)
			}
		}
	}
}

// FuzzDNSAnswer compares what parseAnswer makes of a message with what the whole message, taken apart by the library,
// says.
func FuzzDNSAnswer(f *testing.F) {
	question := func(t dnsmessage.Type) dnsmessage.Question {
		return dnsmessage.Question{Name: dnsmessage.MustNewName("h.test."), Type: t, Class: dnsmessage.ClassINET}
	}
	for _, t := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
		q := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{question(t)}}
		for _, m := range []dnsmessage.Message{
			says(q, host4("h.test", 60, 1), host6("h.test", 60, 1)), says(q, alias("h.test", "i.test", 3), alias("i.test", "j.test", 4), host4("j.test", 60, 1)),
			refuses(q, dnsmessage.RCodeNameError), says(q), says(q, alias("h.test", "h.test", 0)),
		} {
			b, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b, t == dnsmessage.TypeA)
		}
	}
	f.Fuzz(func(t *testing.T, msg []byte, ipv4 bool) {
		q := question(dnsmessage.TypeAAAA)
		if ipv4 {
			q = question(dnsmessage.TypeA)
		}
		a := parseAnswer(msg, 7, q)
		if len(a.addrs) > maxAddresses || len(a.addrs) > 0 && (a.err != nil || a.ttl < 0) || len(a.addrs) > len(msg)/12 {
			t.Fatalf("%+v", a)
		}
		var m dnsmessage.Message
		if len(a.addrs) == 0 || m.Unpack(msg) != nil {
			return // the library reads further than the answers
		}
		if m.ID != 7 || !m.Response || m.Truncated || m.RCode != 0 || len(m.Questions) != 1 {
			t.Fatalf("taken for an answer: %+v", m.Header)
		}
		for _, addr := range a.addrs {
			if addr.Is4() != ipv4 || !slices.ContainsFunc(m.Answers, func(r dnsmessage.Resource) bool {
				switch b := r.Body.(type) {
				case *dnsmessage.AResource:
					return addr == netip.AddrFrom4(b.A)
				case *dnsmessage.AAAAResource:
					return addr == netip.AddrFrom16(b.AAAA)
				}
				return false
			}) {
				t.Fatalf("%v is not in the answer", addr)
			}
		}
	})
}

package httpclient

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Limits of a [NameserverResolver].
const (
	DefaultNameserverTimeout = 2 * time.Second
	DefaultNameserverRounds  = 2

	maxAliases   = 16                     // CNAMEs from a name to its addresses
	maxAddresses = 64                     // of one name and family; further ones are left out
	maxStray     = 32                     // messages that are no answer to the question, until a server is given up
	lateFamily   = 500 * time.Millisecond // patience with one family's answer when the other's has come
	udpSize      = 1232                   // of an answer by UDP: what hardly any path has to fragment
	udpBuffer    = 4096                   // some send more than they were told to
)

// NameserverResolver asks given name servers, RFC 1035, by UDP with EDNS(0), and by TCP for answers that do not fit.
// Other than the system's way to resolve it knows how long addresses hold, and knows neither a hosts file nor search
// domains. Names below localhost are not asked about, RFC 6761.
//
// An answer is believed if it comes from the server asked, to the port asked from, with the identifier and the question
// that were sent; what else comes is passed over. Servers that fail, refuse or do not answer in time are followed by the
// next one. All but Addrs may be zero. It may be used by many goroutines, and must not be changed then.
type NameserverResolver struct {
	// Addrs are the servers; port 0: 53. Each question begins with one chosen by chance.
	Addrs []netip.AddrPort
	// Timeout is how long one server may take. 0: 2 s.
	Timeout time.Duration
	// Rounds is how often all servers are asked until one answers. 0: 2.
	Rounds int
	// Dial connects to a server; network is "udp" or "tcp". nil: the system's sockets.
	Dial func(ctx context.Context, network string, server netip.AddrPort) (net.Conn, error)
}

// dnsAnswer is what is known about one family of addresses. Without addresses and error there are none.
type dnsAnswer struct {
	addrs []netip.Addr
	ttl   time.Duration
	err   error
}

// Failures of one server, after which the next is asked.
var (
	errLameServer  = errors.New("the server neither knows nor asks others")
	errStray       = errors.New("not an answer to the question")
	errTruncated   = errors.New("the answer is truncated")
	errAliases     = errors.New("too many aliases")
	errNoSuchName  = errors.New("no such host")
	errNoAddresses = errors.New("no address")
)

// rcodeError is a server's refusal.
type rcodeError struct{ code dnsmessage.RCode }

func (e rcodeError) Error() string { return "the server says " + e.code.GoString() }

// Resolve implements [Resolver]. The error is a *[DNSError], or that of the context.
func (r *NameserverResolver) Resolve(ctx context.Context, host string, family Family) ([]netip.Addr, time.Duration, error) {
	if len(r.Addrs) == 0 {
		return nil, 0, errors.New("httpclient: NameserverResolver has no addresses")
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return localhost(family), 0, nil
	}
	name, err := dnsmessage.NewName(strings.TrimSuffix(host, ".") + ".")
	if err == nil && name.Length == 1 {
		err = errNoSuchName // the root
	}
	if err != nil {
		return nil, 0, &DNSError{Host: host, NotFound: true, Err: err}
	}
	a := r.both(ctx, name, family)
	switch {
	case len(a.addrs) > 0:
		return a.addrs, max(a.ttl, 1), nil
	case ctx.Err() != nil:
		return nil, 0, ctx.Err()
	case a.err == nil:
		a.err = errNoAddresses
	}
	notFound := errors.Is(a.err, errNoAddresses) || errors.Is(a.err, errNoSuchName)
	var rcode rcodeError
	refused := errors.As(a.err, &rcode) && rcode.code != dnsmessage.RCodeServerFailure
	return nil, 0, &DNSError{Host: host, NotFound: notFound, Temporary: !notFound && !refused, Err: a.err}
}

func localhost(family Family) []netip.Addr {
	v6, v4 := netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})
	switch family {
	case IPv4:
		return []netip.Addr{v4}
	case IPv6:
		return []netip.Addr{v6}
	}
	return []netip.Addr{v6, v4}
}

// both asks about both families at a time, or the one that is wanted. The first that has addresses does not wait long
// for the other.
func (r *NameserverResolver) both(ctx context.Context, name dnsmessage.Name, family Family) dnsAnswer {
	switch family {
	case IPv4:
		return r.lookup(ctx, name, dnsmessage.TypeA)
	case IPv6:
		return r.lookup(ctx, name, dnsmessage.TypeAAAA)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan dnsAnswer, 2)
	for _, t := range [...]dnsmessage.Type{dnsmessage.TypeAAAA, dnsmessage.TypeA} {
		go func() { answers <- r.lookup(ctx, name, t) }()
	}
	first := <-answers
	if len(first.addrs) > 0 {
		defer time.AfterFunc(lateFamily, cancel).Stop()
	}
	return first.with(<-answers)
}

// with joins the answers of two families. An error counts if there are no addresses: before one that says that there are
// none, one that leaves it open.
func (a dnsAnswer) with(b dnsAnswer) dnsAnswer {
	switch {
	case len(a.addrs) == 0 && len(b.addrs) == 0:
		if a.err == nil || b.err != nil && errors.Is(a.err, errNoSuchName) {
			return b
		}
		return a
	case len(a.addrs) == 0:
		return b
	case len(b.addrs) == 0:
		return a
	}
	return dnsAnswer{addrs: append(a.addrs, b.addrs...), ttl: min(a.ttl, b.ttl)}
}

// lookup asks one server after the other.
func (r *NameserverResolver) lookup(ctx context.Context, name dnsmessage.Name, t dnsmessage.Type) (a dnsAnswer) {
	q := dnsmessage.Question{Name: name, Type: t, Class: dnsmessage.ClassINET}
	rounds := r.Rounds
	if rounds <= 0 {
		rounds = DefaultNameserverRounds
	}
	start := rand.IntN(len(r.Addrs))
	for i := range rounds * len(r.Addrs) {
		server := r.Addrs[(start+i)%len(r.Addrs)]
		if server.Port() == 0 {
			server = netip.AddrPortFrom(server.Addr(), 53)
		}
		a = r.ask(ctx, server, q)
		if a.err == nil || errors.Is(a.err, errNoSuchName) || ctx.Err() != nil {
			return a
		}
		a.err = fmt.Errorf("name server %v: %w", server, a.err)
	}
	return a
}

// ask puts a question to one server.
func (r *NameserverResolver) ask(ctx context.Context, server netip.AddrPort, q dnsmessage.Question) dnsAnswer {
	limit := r.Timeout
	if limit <= 0 {
		limit = DefaultNameserverTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	a := r.exchange(ctx, "udp", server, q, true)
	var rcode rcodeError
	if errors.As(a.err, &rcode) && (rcode.code == dnsmessage.RCodeFormatError || rcode.code == dnsmessage.RCodeNotImplemented) {
		a = r.exchange(ctx, "udp", server, q, false) // it does not know EDNS
	}
	if errors.Is(a.err, errTruncated) {
		a = r.exchange(ctx, "tcp", server, q, true)
	}
	return a
}

// exchange sends a question and waits for its answer.
func (r *NameserverResolver) exchange(ctx context.Context, network string, server netip.AddrPort, q dnsmessage.Question, edns bool) dnsAnswer {
	id := uint16(rand.Uint32())
	question, err := appendQuestion(make([]byte, 2, 512), id, q, edns)
	if err != nil {
		return dnsAnswer{err: fmt.Errorf("%w: %w", errNoSuchName, err)} // it cannot be a name
	}
	c, err := r.dial(ctx, network, server)
	if err != nil {
		return dnsAnswer{err: err}
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if network == "tcp" {
		return overTCP(c, id, question, q)
	}
	return overUDP(c, id, question[2:], q)
}

func (r *NameserverResolver) dial(ctx context.Context, network string, server netip.AddrPort) (net.Conn, error) {
	if r.Dial != nil {
		return r.Dial(ctx, network, server)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, server.String())
}

// appendQuestion appends a message that asks q.
func appendQuestion(b []byte, id uint16, q dnsmessage.Question, edns bool) ([]byte, error) {
	m := dnsmessage.NewBuilder(b, dnsmessage.Header{ID: id, RecursionDesired: true})
	err := errors.Join(m.StartQuestions(), m.Question(q))
	if edns {
		var h dnsmessage.ResourceHeader
		err = errors.Join(err, h.SetEDNS0(udpSize, dnsmessage.RCodeSuccess, false), m.StartAdditionals(), m.OPTResource(h, dnsmessage.OPTResource{}))
	}
	if err != nil {
		return nil, err
	}
	return m.Finish()
}

func overUDP(c net.Conn, id uint16, question []byte, q dnsmessage.Question) dnsAnswer {
	if _, err := c.Write(question); err != nil {
		return dnsAnswer{err: err}
	}
	buf := make([]byte, udpBuffer)
	for range maxStray {
		n, err := c.Read(buf)
		if err != nil {
			return dnsAnswer{err: err}
		}
		if a := parseAnswer(buf[:n], id, q); !errors.Is(a.err, errStray) {
			return a
		}
	}
	return dnsAnswer{err: errStray}
}

// overTCP sends a question that has room for its length before it, RFC 1035 section 4.2.2.
func overTCP(c net.Conn, id uint16, question []byte, q dnsmessage.Question) dnsAnswer {
	binary.BigEndian.PutUint16(question, uint16(len(question)-2))
	if _, err := c.Write(question); err != nil {
		return dnsAnswer{err: err}
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return dnsAnswer{err: err}
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, buf); err != nil {
		return dnsAnswer{err: err}
	}
	return parseAnswer(buf, id, q)
}

// parseAnswer reads a message that should answer q. Its error is errStray if it does not, errTruncated if it does in
// part, errNoSuchName if there is no such name, or says why the server is of no use. Without addresses and error the name
// has none of the kind.
func parseAnswer(msg []byte, id uint16, q dnsmessage.Question) dnsAnswer {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || h.ID != id || !h.Response || h.OpCode != 0 || !repeats(&p, q, h.RCode) {
		return dnsAnswer{err: errStray}
	}
	switch {
	case h.Truncated:
		return dnsAnswer{err: errTruncated}
	case h.RCode == dnsmessage.RCodeNameError:
		return dnsAnswer{err: errNoSuchName}
	case h.RCode != dnsmessage.RCodeSuccess:
		return dnsAnswer{err: rcodeError{h.RCode}}
	}
	records, err := readRecords(&p, q.Type)
	switch {
	case err != nil:
		return dnsAnswer{err: err}
	case !h.Authoritative && !h.RecursionAvailable && records.empty():
		return dnsAnswer{err: errLameServer}
	}
	return records.follow(lowerName(q.Name))
}

// repeats reports whether the message has the question q, and no other. Of one that could not be read there may be none.
func repeats(p *dnsmessage.Parser, q dnsmessage.Question, code dnsmessage.RCode) bool {
	got, err := p.Question()
	if errors.Is(err, dnsmessage.ErrSectionDone) {
		return code == dnsmessage.RCodeFormatError || code == dnsmessage.RCodeNotImplemented
	}
	if err != nil || got.Type != q.Type || got.Class != q.Class || lowerName(got.Name) != lowerName(q.Name) {
		return false
	}
	_, err = p.Question()
	return errors.Is(err, dnsmessage.ErrSectionDone)
}

// lowerName makes names of which only the case of letters differs equal.
func lowerName(n dnsmessage.Name) dnsmessage.Name {
	for i, c := range n.Data[:n.Length] {
		if c >= 'A' && c <= 'Z' {
			n.Data[i] = c + ('a' - 'A')
		}
	}
	clear(n.Data[n.Length:])
	return n
}

// dnsRecords are what an answer says about the names in it.
type dnsRecords struct {
	aliases map[dnsmessage.Name]dnsAlias
	hosts   map[dnsmessage.Name]dnsAnswer
}

type dnsAlias struct {
	to  dnsmessage.Name
	ttl time.Duration
}

func (r *dnsRecords) empty() bool { return len(r.aliases) == 0 && len(r.hosts) == 0 }

// readRecords reads the aliases, and the addresses of type t.
func readRecords(p *dnsmessage.Parser, t dnsmessage.Type) (dnsRecords, error) {
	r := dnsRecords{map[dnsmessage.Name]dnsAlias{}, map[dnsmessage.Name]dnsAnswer{}}
	for {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return r, nil
		}
		if err != nil {
			return r, err
		}
		name, ttl := lowerName(h.Name), recordTTL(h.TTL)
		switch {
		case h.Class == dnsmessage.ClassINET && h.Type == dnsmessage.TypeCNAME:
			alias, err := p.CNAMEResource()
			if err != nil {
				return r, err
			}
			r.aliases[name] = dnsAlias{lowerName(alias.CNAME), ttl}
		case h.Class == dnsmessage.ClassINET && h.Type == t:
			addr, err := readAddress(p, t)
			if err != nil {
				return r, err
			}
			r.add(name, addr, ttl)
		default:
			if err := p.SkipAnswer(); err != nil {
				return r, err
			}
		}
	}
}

func readAddress(p *dnsmessage.Parser, t dnsmessage.Type) (netip.Addr, error) {
	if t == dnsmessage.TypeA {
		a, err := p.AResource()
		return netip.AddrFrom4(a.A), err
	}
	a, err := p.AAAAResource()
	return netip.AddrFrom16(a.AAAA), err
}

func (r *dnsRecords) add(name dnsmessage.Name, addr netip.Addr, ttl time.Duration) {
	host, known := r.hosts[name]
	if len(host.addrs) >= maxAddresses {
		return
	}
	if host.addrs = append(host.addrs, addr); !known || ttl < host.ttl {
		host.ttl = ttl
	}
	r.hosts[name] = host
}

// recordTTL is a time to live, RFC 2181 section 8.
func recordTTL(seconds uint32) time.Duration {
	if seconds > math.MaxInt32 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// follow goes from name along the aliases to its addresses. They hold as long as all that leads to them.
func (r *dnsRecords) follow(name dnsmessage.Name) dnsAnswer {
	ttl := time.Duration(math.MaxInt64)
	for range maxAliases + 1 {
		if host, ok := r.hosts[name]; ok {
			host.ttl = min(host.ttl, ttl)
			return host
		}
		alias, ok := r.aliases[name]
		if !ok {
			return dnsAnswer{}
		}
		name, ttl = alias.to, min(ttl, alias.ttl)
	}
	return dnsAnswer{err: errAliases}
}

package httpclient

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net"
	"net/url"
	"runtime"
	"strconv"
	"time"
)

// Unlimited switches a limit off whose zero value is a default.
const Unlimited = -1

// Connector owns connections. [Pool] is the one implementation of its rules;
// connectors to other things than TCP and Unix sockets are made by [NewPool] with
// a [DialFunc].
type Connector interface {
	// Connect returns a connection for req that is idle or newly made. It waits
	// for a slot if the limits are reached, in the order of the calls. The caller
	// must end with Close, Release or Detach on it.
	Connect(ctx context.Context, req *Request) (*Conn, error)
	// Close closes all connections, idle or in use, fails those who wait with
	// ErrConnectorClosed, and refuses later calls. It may be called again.
	Close() error
	Closed() bool
	Stats() ConnectorStats
}

// ConnKey says which requests may share a connection: those with equal keys.
type ConnKey struct {
	Scheme      string // "http" or "https"
	Host        string
	Port        uint16
	Proxy       string      // without credentials, which are in ProxyAuth; "" for none
	ProxyAuth   string      // a hash of what the proxy is told
	TLS         *tls.Config // of the request; nil: the connector's
	Insecure    bool
	Fingerprint [sha256.Size]byte
	ServerName  string
	HTTP2       bool
	Tunnel      bool // through an HTTP proxy by CONNECT though the scheme is http
	Isolate     string
}

// Addr returns host:port.
func (k *ConnKey) Addr() string { return net.JoinHostPort(k.Host, strconv.Itoa(int(k.Port))) }

// endpointKey is what the limit per host counts by.
type endpointKey struct {
	host string
	port uint16
	tls  bool
}

// connKey returns the key of the connection that r needs.
func (r *Request) connKey() ConnKey {
	k := ConnKey{
		Scheme: r.target.scheme, Host: r.target.host, Port: r.target.port,
		TLS: r.TLS, Insecure: r.Insecure, ServerName: r.ServerName,
		HTTP2: r.version() == HTTP2, Isolate: r.Isolate,
	}
	if r.Fingerprint != nil {
		k.Fingerprint = *r.Fingerprint
	}
	if proxy := r.effective.proxy; proxy != nil {
		k.Proxy = proxy.Scheme + "://" + proxy.Host
		k.ProxyAuth = r.proxyAuthHash(proxy)
		k.Tunnel = r.tunnel
	}
	return k
}

// proxyAuthHash tells apart requests that show different credentials or header
// fields to the proxy.
func (r *Request) proxyAuthHash(proxy *url.URL) string {
	digest := r.proxyDigest.isFor(r)
	if proxy.User == nil && r.ProxyAuth == nil && len(r.ProxyHeader) == 0 && !digest {
		return ""
	}
	h := sha256.New()
	if digest {
		h.Write([]byte("Digest " + r.proxyDigest.login + ":" + r.proxyDigest.password))
	}
	if proxy.User != nil {
		h.Write([]byte(proxy.User.String()))
	}
	h.Write([]byte{0})
	if r.ProxyAuth != nil {
		h.Write([]byte(r.ProxyAuth.Login + ":" + r.ProxyAuth.Password))
	}
	for _, f := range headerList(r.ProxyHeader) {
		h.Write([]byte("\x00" + f.Name + "\x00" + f.Value))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// ConnectorStats are counts of a connector at one moment.
type ConnectorStats struct {
	Limit, LimitPerHost int // 0: none

	InUse   int // connections handed out, and HTTP/2 exchanges
	Dialing int // being made; they hold slots too
	Idle    int // kept alive
	Waiting int // calls that wait for a slot
	Hosts   int // endpoints with any of these

	Dials   uint64 // connections made
	Reused  uint64 // times a kept-alive connection was handed out
	Expired uint64 // idle connections closed for age or to make room
	Stale   uint64 // idle connections found closed by the peer when wanted
	Retried uint64 // requests sent again because such a one was noticed too late
}

// Held is how many slots are taken.
func (s ConnectorStats) Held() int { return s.InUse + s.Dialing }

// Defaults of [PoolConfig].
const (
	DefaultLimit     = 100
	DefaultMaxIdle   = 1024
	DefaultKeepAlive = 30 * time.Second
)

// PoolConfig are the rules of a [Pool].
type PoolConfig struct {
	// Limit is how many connections may be in use or being made. 0: 100;
	// negative: no limit.
	Limit int
	// LimitPerHost is the same for one host, port and scheme. 0: no limit.
	LimitPerHost int
	// MaxIdle is how many unused connections are kept; the oldest goes first.
	// 0: 1,024; negative: no limit.
	MaxIdle int
	// KeepAlive is how long an unused connection is kept. A server that announces
	// a shorter time is believed. 0: 30 s; negative: for ever.
	KeepAlive time.Duration
	// ForceClose closes each connection after one request. It excludes KeepAlive.
	ForceClose bool
	// Stacks keeps with each connection that is handed out the stack of who got it,
	// for [Pool.Held]. It takes its time, and is for finding what is not released.
	Stacks bool
}

// HeldConn is a connection that is handed out.
type HeldConn struct {
	Key ConnKey
	// Since and Stack tell since when, and to whom, at most 8 KiB; zero without
	// PoolConfig.Stacks.
	Since time.Time
	Stack string
}

// Held lists the connections that are handed out, the longest first: a response that is
// neither read to its end nor released stays in the list, and keeps its slot.
func (p *Pool) Held() []HeldConn {
	p.mu.Lock()
	defer p.unlock()
	var list []HeldConn
	for c := p.busy.first; c != nil; c = c.next {
		h := HeldConn{Key: c.lane.key}
		if c.handed != nil {
			h.Since, h.Stack = c.handed.at, string(c.handed.stack)
		}
		list = append(list, h)
	}
	return list
}

// handed is when and to whom a connection was handed out.
type handed struct {
	at    time.Time
	stack []byte
}

const maxStack = 8 << 10

func (p *Pool) noteStack(c *link) {
	h := &handed{time.Now(), make([]byte, maxStack)}
	h.stack = h.stack[:runtime.Stack(h.stack, false)]
	p.mu.Lock()
	defer p.unlock()
	c.handed = h
}

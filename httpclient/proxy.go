package httpclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// proxyPort returns the port of a proxy, the one of its scheme if it does not name any.
func proxyPort(u *url.URL) (uint16, error) {
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		return uint16(n), err
	}
	switch u.Scheme {
	case "http":
		return 80, nil
	case "https":
		return 443, nil
	}
	return 1080, nil
}

// proxyName names a proxy in errors and traces: without its user, too, which for
// many a proxy is half of the secret.
func proxyName(u *url.URL) string { return u.Scheme + "://" + u.Host }

// viaProxy returns a connection to the request's host through a proxy, or for a
// plain request to an HTTP proxy one to the proxy itself.
func (j *dialJob) viaProxy(ctx context.Context, proxy *url.URL) (net.Conn, error) {
	if err := j.guardTarget(ctx); err != nil {
		return nil, err
	}
	port, err := proxyPort(proxy)
	if err != nil {
		return nil, &ProxyConnectionError{Proxy: proxyName(proxy), Err: err}
	}
	nc, err := j.dialProxy(ctx, proxy.Hostname(), port)
	if err == nil && proxy.Scheme == "https" {
		nc, err = j.handshake(ctx, nc, j.c.proxyTLS(proxy), proxy.Host)
	}
	if err != nil {
		var te *TimeoutError
		if errors.As(err, &te) || ctx.Err() != nil {
			return nil, err
		}
		return nil, &ProxyConnectionError{Proxy: proxyName(proxy), Err: err}
	}
	if j.req.absoluteForm() {
		return nc, nil
	}
	return j.tunnel(ctx, nc, proxy)
}

// dialProxy is dialHost without the guard.
func (j *dialJob) dialProxy(ctx context.Context, host string, port uint16) (net.Conn, error) {
	addrs, err := j.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	all := make([]netip.AddrPort, len(addrs))
	for i, a := range addrs {
		all[i] = netip.AddrPortFrom(a, port)
	}
	return j.dialAny(ctx, host, all, nil)
}

// proxyTLS are the settings for the connection to an https proxy.
func (c *TCPConnector) proxyTLS(proxy *url.URL) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.cfg.TLS != nil {
		cfg = c.cfg.TLS.Clone()
	}
	cfg.ServerName = proxy.Hostname()
	cfg.NextProtos = []string{"http/1.1"}
	cfg.InsecureSkipVerify = cfg.InsecureSkipVerify || c.cfg.Insecure
	return cfg
}

// guardTarget asks about a host that is an address, since nobody here resolves it.
func (j *dialJob) guardTarget(ctx context.Context) error {
	a, err := netip.ParseAddr(j.key.Host)
	if err != nil {
		return nil
	}
	if allowed, refused := j.guard(ctx, j.key.Host, j.key.Port, []netip.Addr{a.Unmap()}); len(allowed) == 0 {
		return &ConnectorError{Key: *j.key, Addrs: refused}
	}
	return nil
}

// tunnel makes the proxy connect to the host, within its limit. It
// closes nc when that fails.
func (j *dialJob) tunnel(ctx context.Context, nc net.Conn, proxy *url.URL) (_ net.Conn, err error) {
	name := proxyName(proxy)
	trace := j.req.effective.trace
	trace.proxyStart(name)
	defer func() { trace.proxyDone(name, err) }()
	limit := j.req.timeouts().Proxy
	inner, cancel := j.req.withPhase(ctx, limit)
	defer cancel()
	stop := context.AfterFunc(inner, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	if proxy.Scheme == "socks5" || proxy.Scheme == "socks5h" {
		err = j.socks5(inner, nc, proxy)
	} else {
		err = j.connectTunnel(nc, proxy)
	}
	if !stop() && err == nil {
		err = inner.Err()
	}
	if err == nil {
		return nc, nil
	}
	_ = nc.Close()
	var refused *ProxyResponseError
	if errors.As(err, &refused) || errors.Is(err, ErrInvalidRequest) {
		return nil, err
	}
	if perr := j.req.phaseError(ctx, inner, PhaseProxy, limit, err); perr != nil {
		return nil, perr
	}
	return nil, &ProxyConnectionError{Proxy: name, Reached: true, Err: err}
}

// proxyFields are the header fields meant for an HTTP proxy.
func (r *Request) proxyFields() (HeaderList, error) {
	list := headerList(r.ProxyHeader)
	for _, f := range list {
		if !validField(f) {
			return nil, &InvalidRequestError{Reason: "header field " + strconv.Quote(f.Name) + " for the proxy cannot be sent"}
		}
	}
	auth := r.ProxyAuth
	if auth == nil {
		auth, _ = BasicAuthFromURL(r.effective.proxy)
	}
	if auth == nil || list.Has("Proxy-Authorization") {
		return list, nil
	}
	v, err := auth.Header()
	if err != nil {
		return nil, &InvalidRequestError{Reason: "credentials for the proxy", Err: err}
	}
	list.Add("Proxy-Authorization", v)
	return list, nil
}

// connectTunnel asks an HTTP proxy for a tunnel, RFC 9110 section 9.3.6.
func (j *dialJob) connectTunnel(nc net.Conn, proxy *url.URL) error {
	fields, err := j.req.proxyFields()
	if err != nil {
		return err
	}
	addr := j.key.Addr()
	answer, err := j.req.proxyDigest.authorization(j.req, http.MethodConnect, addr)
	if err != nil {
		return err
	}
	if answer != "" {
		fields.Add("Proxy-Authorization", answer)
	}
	b := []byte("CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n")
	for _, f := range fields {
		b = appendField(b, f)
	}
	if _, err := nc.Write(append(b, '\r', '\n')); err != nil {
		return err
	}
	h, err := readProxyHead(nc)
	if err != nil {
		return err
	}
	if h.status/100 != 2 {
		return &ProxyResponseError{
			Proxy: proxyName(proxy), StatusCode: h.status,
			Reason: string(h.raw[h.reason[0]:h.reason[1]]), Header: h.httpHeader(),
		}
	}
	return nil
}

// readProxyHead reads the head of the answer to CONNECT and not a byte more, as
// what follows belongs to the tunnel.
func readProxyHead(r io.Reader) (*head, error) {
	const limit = 16 << 10
	h := new(head)
	raw := make([]byte, 0, 512)
	for interim := 0; interim < maxInterim; {
		if len(raw) == limit {
			return nil, &ProtocolError{Raw: raw[:4096], Reason: "head too long"}
		}
		raw = append(raw, 0)
		if _, err := io.ReadFull(r, raw[len(raw)-1:]); err != nil {
			return nil, err
		}
		if !looksLikeHTTP(raw) {
			return nil, &ProtocolError{Raw: raw, Reason: "not HTTP"}
		}
		if !bytes.HasSuffix(raw, []byte("\n\r\n")) && !bytes.HasSuffix(raw, []byte("\n\n")) {
			continue
		}
		if err := h.parse(raw, limit); err != nil {
			return nil, err
		}
		if h.status >= 200 {
			return h, nil
		}
		*h, raw = head{}, raw[:0]
		interim++
	}
	return nil, &ProtocolError{Reason: "too many interim responses"}
}

// SOCKS protocol version 5, RFC 1928, and its authentication by password, RFC 1929.
const (
	socksVersion   = 5
	socksNoAuth    = 0
	socksPassword  = 2
	socksConnect   = 1
	socksIPv4      = 1
	socksName      = 3
	socksIPv6      = 4
	socksSucceeded = 0
)

var socksReplies = [...]string{
	"succeeded", "general failure", "not allowed by ruleset", "network unreachable", "host unreachable",
	"connection refused", "TTL expired", "command not supported", "address type not supported",
}

// socks5 asks a SOCKS5 proxy to connect to the host.
func (j *dialJob) socks5(ctx context.Context, nc net.Conn, proxy *url.URL) error {
	auth := j.req.ProxyAuth
	if auth == nil {
		auth, _ = BasicAuthFromURL(proxy)
	}
	if err := socksGreet(nc, auth); err != nil {
		return err
	}
	dest, err := j.socksDestination(ctx, proxy.Scheme == "socks5h")
	if err != nil {
		return err
	}
	request := append([]byte{socksVersion, socksConnect, 0}, dest...)
	if _, err := nc.Write(binary.BigEndian.AppendUint16(request, j.key.Port)); err != nil {
		return err
	}
	return readSocksReply(nc, proxy)
}

// socksGreet agrees on how to authenticate, and does.
func socksGreet(nc net.Conn, auth *BasicAuth) error {
	methods := []byte{socksVersion, 1, socksNoAuth}
	if auth != nil {
		methods = []byte{socksVersion, 2, socksNoAuth, socksPassword}
	}
	if _, err := nc.Write(methods); err != nil {
		return err
	}
	var choice [2]byte
	if _, err := io.ReadFull(nc, choice[:]); err != nil {
		return err
	}
	switch {
	case choice[0] != socksVersion:
		return errors.New("not a SOCKS5 proxy")
	case choice[1] == socksNoAuth:
		return nil
	case choice[1] != socksPassword || auth == nil:
		return fmt.Errorf("SOCKS5: no acceptable way to authenticate: %w", ErrProxyCredentials)
	case len(auth.Login) > 255 || len(auth.Password) > 255:
		return errors.New("SOCKS5: credentials too long")
	}
	b := append([]byte{1, byte(len(auth.Login))}, auth.Login...)
	b = append(append(b, byte(len(auth.Password))), auth.Password...)
	if _, err := nc.Write(b); err != nil {
		return err
	}
	if _, err := io.ReadFull(nc, choice[:]); err != nil {
		return err
	}
	if choice[1] != 0 {
		return fmt.Errorf("SOCKS5: %w", ErrProxyCredentials)
	}
	return nil
}

// socksDestination returns the host in the form of RFC 1928 section 5: by name, or
// by an address that was resolved and guarded here.
func (j *dialJob) socksDestination(ctx context.Context, byName bool) ([]byte, error) {
	host := j.key.Host
	if _, err := netip.ParseAddr(host); err != nil && byName {
		if len(host) > 255 {
			return nil, errors.New("SOCKS5: host name too long")
		}
		return append([]byte{socksName, byte(len(host))}, host...), nil
	}
	addrs, err := j.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	allowed, refused := j.guard(ctx, host, j.key.Port, addrs)
	if len(allowed) == 0 {
		return nil, &ConnectorError{Key: *j.key, Addrs: refused}
	}
	kind := byte(socksIPv6)
	if allowed[0].Addr().Is4() {
		kind = socksIPv4
	}
	return append([]byte{kind}, allowed[0].Addr().AsSlice()...), nil
}

func readSocksReply(nc net.Conn, proxy *url.URL) error {
	var b [4]byte
	if _, err := io.ReadFull(nc, b[:]); err != nil {
		return err
	}
	if b[0] != socksVersion {
		return errors.New("not a SOCKS5 proxy")
	}
	if code := int(b[1]); code != socksSucceeded {
		reason := fmt.Sprintf("reply %d", code)
		if code < len(socksReplies) {
			reason = socksReplies[code]
		}
		return &ProxyResponseError{Proxy: proxyName(proxy), StatusCode: code, Reason: reason}
	}
	var size int
	switch b[3] {
	case socksIPv4:
		size = 4
	case socksIPv6:
		size = 16
	case socksName:
		var n [1]byte
		if _, err := io.ReadFull(nc, n[:]); err != nil {
			return err
		}
		size = int(n[0])
	default:
		return errors.New("SOCKS5: unknown address type")
	}
	_, err := io.CopyN(io.Discard, nc, int64(size)+2)
	return err
}

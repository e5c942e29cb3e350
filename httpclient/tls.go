package httpclient

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"time"
)

// secure adds TLS to a connection to the host of an https request, and makes it a
// link. It closes nc when it fails.
func (j *dialJob) secure(ctx context.Context, nc net.Conn) (*link, error) {
	if j.key.Scheme != "https" {
		return newLink(nc), nil
	}
	cfg := j.c.tlsConfig(j.key)
	tc, err := j.handshake(ctx, nc, cfg, j.key.Addr())
	if err != nil {
		return nil, err
	}
	c := newLink(tc)
	if c.tls.NegotiatedProtocol == "h2" {
		if c.h2, err = newHTTP2Conn(ctx, c); err != nil {
			_ = tc.Close()
			return nil, &ConnectorError{Key: *j.key, Err: err}
		}
	}
	return c, nil
}

// handshake runs a TLS handshake within its limit.
func (j *dialJob) handshake(ctx context.Context, nc net.Conn, cfg *tls.Config, host string) (*tls.Conn, error) {
	limit := j.req.timeouts().TLS
	inner, cancel := j.req.withPhase(ctx, limit)
	defer cancel()
	trace := j.req.effective.trace
	trace.tlsStart()
	start := time.Now()
	tc := tls.Client(&cutWatch{Conn: nc}, cfg)
	err := tc.HandshakeContext(inner)
	j.req.effective.tls += time.Since(start)
	trace.tlsDone(tc.ConnectionState(), err)
	if err == nil {
		return tc, nil
	}
	_ = nc.Close()
	if perr := j.req.phaseError(ctx, inner, PhaseTLS, limit, err); perr != nil {
		return nil, perr
	}
	return nil, tlsError(host, err)
}

// cutWatch is below a TLS connection, and sees whether the peer closed the connection
// before it said farewell: crypto/tls takes both for the end.
type cutWatch struct {
	net.Conn
	ended bool // written and read by the goroutine that reads
}

func (w *cutWatch) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err == io.EOF {
		w.ended = true
	}
	return n, err
}

// NetConn returns the connection that is watched.
func (w *cutWatch) NetConn() net.Conn { return w.Conn }

// wasCut reports whether the end of c was not the end of its TLS connection.
func (c *link) wasCut() bool {
	t, ok := c.nc.(*tls.Conn)
	if !ok {
		return false
	}
	w, ok := t.NetConn().(*cutWatch)
	return ok && w.ended
}

// tlsError sorts the ways in which a handshake fails.
func tlsError(host string, err error) error {
	var pin *FingerprintError
	var bad *tls.CertificateVerificationError
	var (
		name    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &pin):
		pin.Host = host
		return pin
	case errors.As(err, &bad), errors.As(err, &name), errors.As(err, &unknown), errors.As(err, &invalid):
		return &CertificateError{Host: host, Err: err}
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return &TLSError{Host: host, Err: err}
}

// tlsConfig returns the settings for a connection of that key.
func (c *TCPConnector) tlsConfig(key *ConnKey) *tls.Config {
	base := key.TLS
	if base == nil {
		base = c.cfg.TLS
	}
	var cfg *tls.Config
	if base == nil {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	} else {
		cfg = base.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = key.Host
	}
	if key.ServerName != "" {
		cfg.ServerName = key.ServerName
	}
	cfg.InsecureSkipVerify = cfg.InsecureSkipVerify || key.Insecure || key.TLS == nil && c.cfg.Insecure
	cfg.NextProtos = []string{"http/1.1"}
	if key.HTTP2 {
		cfg.NextProtos = []string{"h2", "http/1.1"}
	}
	want := key.Fingerprint
	if want == ([sha256.Size]byte{}) && c.cfg.Fingerprint != nil {
		want = *c.cfg.Fingerprint
	}
	if want != ([sha256.Size]byte{}) {
		pin(cfg, want)
	} else if cfg.ClientSessionCache == nil && key.TLS == nil && !cfg.InsecureSkipVerify {
		cfg.ClientSessionCache = c.sessions
	}
	return cfg
}

// pin makes the handshake fail unless the server's certificate has the SHA-256 want.
// It runs within the handshake, so that every way to a connection has it.
func pin(cfg *tls.Config, want [sha256.Size]byte) {
	verify := cfg.VerifyConnection
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		if verify != nil {
			if err := verify(cs); err != nil {
				return err
			}
		}
		if len(cs.PeerCertificates) == 0 {
			return &FingerprintError{Want: want}
		}
		if got := sha256.Sum256(cs.PeerCertificates[0].Raw); got != want {
			return &FingerprintError{Want: want, Got: got}
		}
		return nil
	}
}

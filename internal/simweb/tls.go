package simweb

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"time"
)

// signer gives each host a certificate for its address when it is first needed: thousands of addresses in one
// certificate would weigh more than the pages.
type signer struct {
	key *ecdsa.PrivateKey // of the authority and of all hosts
	ca  *x509.Certificate

	ticketKey [32]byte // one for all hosts' configurations, or a session could not be resumed

	mu      sync.Mutex
	configs map[int]*tls.Config // by host
}

func newSigner() (*signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "simweb"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	s := &signer{key: key, configs: make(map[int]*tls.Config)}
	if s.ca, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	_, _ = rand.Read(s.ticketKey[:]) // never fails
	return s, nil
}

// config is what a host's connections are secured with.
func (s *signer) config(host int) (*tls.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.configs[host]; c != nil {
		return c, nil
	}
	address := hostAddr(host)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(host) + 2), Subject: pkix.Name{CommonName: address.String()},
		NotBefore: s.ca.NotBefore, NotAfter: s.ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{address.AsSlice()},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.ca, s.key.Public(), s.key)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: s.key}},
		NextProtos:   []string{"http/1.1"},
		MinVersion:   tls.VersionTLS12,
	}
	c.SetSessionTicketKeys([][32]byte{s.ticketKey})
	s.configs[host] = c
	return c, nil
}

// CA returns the certificate, in PEM, that a client of a web with Config.TLS has to trust, or nil without TLS.
func (w *Web) CA() []byte {
	if w.signer == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.signer.ca.Raw})
}

// secure returns c as the host's exchanges read and write it.
func (w *Web) secure(c net.Conn, h *host) net.Conn {
	if w.signer == nil {
		return c
	}
	cfg, err := w.signer.config(h.number)
	if err != nil {
		_ = c.Close() // the exchange's first read finds that out
		return c
	}
	// Connections, not exchanges, are closed: a closed one needs no farewell.
	return &counted{Conn: tls.Server(c, cfg), host: h}
}

// counted tells its host of the handshake.
type counted struct {
	*tls.Conn
	host   *host
	shaken bool
}

// Read reads; the first call makes the handshake.
func (c *counted) Read(b []byte) (int, error) {
	if !c.shaken {
		if err := c.Handshake(); err != nil {
			return 0, err
		}
		c.shaken = true
		c.host.handshake(c.ConnectionState().DidResume)
	}
	return c.Conn.Read(b)
}

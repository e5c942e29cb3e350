package crawler

import (
	"errors"
	"net/http"
	"strings"

	"github.com/orbweaver/orbweaver/httpclient"
)

// fault is how far a failure is the proxy's.
type fault int

const (
	faultNone    fault = iota
	faultRefused       // it does not serve that host, which says nothing of it
	faultMaybe         // its own or the host's: if another one does better, its own
	faultProxy
)

// blame says whose fault the end of a request through a proxy is.
func blame(err error) fault {
	var broken *httpclient.ProxyConnectionError
	var refused *httpclient.ProxyResponseError
	var timeout *httpclient.TimeoutError
	var dns *httpclient.DNSError
	var private *PrivateAddressError
	switch {
	case exhausted(err):
		return faultNone
	case errors.As(err, &refused):
		switch {
		case refused.Header == nil: // SOCKS5
			return faultMaybe
		case refused.StatusCode == http.StatusProxyAuthRequired, refused.StatusCode == http.StatusUnauthorized:
			return faultProxy
		case refused.StatusCode/100 == 4:
			return faultRefused
		}
		return faultMaybe
	case errors.As(err, &broken) && (!broken.Reached || errors.Is(err, httpclient.ErrProxyCredentials)):
		return faultProxy
	case errors.As(err, &private), errors.As(err, &dns): // of the host, that was to be resolved here
		return faultNone
	case errors.As(err, &broken):
		return faultMaybe
	case errors.As(err, &timeout) && timeout.Phase == httpclient.PhaseDial:
		return faultProxy
	case errors.As(err, &timeout) && timeout.Phase == httpclient.PhaseProxy:
		return faultMaybe
	}
	return faultNone
}

// judge is blame, with what the request tells. A proxy that forwards requests
// answers when the host hangs up, so that one that hangs up itself may have failed.
// And what a hostile host can feign, that the proxy wants other credentials, is
// believed at once of forwarded requests only as long as no proxy has worked.
func (ps *proxies) judge(err error, req *httpclient.Request) fault {
	f := blame(err)
	forwarded := strings.HasPrefix(req.URL(), "http:") && strings.HasPrefix(req.Proxy.Scheme, "http")
	var closed *httpclient.DisconnectedError
	var refused *httpclient.ProxyResponseError
	ps.mu.Lock()
	defer ps.mu.Unlock()
	switch {
	case !forwarded:
		return f
	case f == faultNone && errors.As(err, &closed) && req.Method == http.MethodGet:
		return faultMaybe
	case f == faultProxy && ps.worked && errors.As(err, &refused):
		return faultMaybe
	}
	return f
}

// Package realpeers proves the client session on servers and proxies that other people wrote: nginx over HTTP/1.1, HTTP/2 and
// TLS, tinyproxy and Squid as HTTP proxies, Dante as a SOCKS5 proxy, all on loopback.
//
// Its tests have the build tag realpeers and need the Debian packages nginx-light, tinyproxy, squid and dante-server:
//
//	go test -tags realpeers ./internal/realpeers
package realpeers

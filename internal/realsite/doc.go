// Package realsite proves the crawl command on a real site: the PostgreSQL documentation as Debian packages it, more than
// a thousand pages written by people, served by nginx on loopback.
//
// Its test has the build tag realsite and needs the Debian packages nginx-light and postgresql-doc-15:
//
//	go test -tags realsite ./internal/realsite
package realsite

package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/orbweaver/orbweaver/crawler"
)

// proxyPolicy is which proxy takes a request.
type proxyPolicy struct{ crawler.ProxyPolicy }

func (p *proxyPolicy) UnmarshalText(text []byte) (err error) {
	if p.ProxyPolicy, err = crawler.ParseProxyPolicy(string(text)); err != nil {
		return notOneOf(string(text), crawler.ProxySticky.String(), crawler.ProxyRoundRobin.String())
	}
	return nil
}

// maxProxies bounds the file of proxies.
const maxProxies = 100_000

// proxies are those of --proxy and of the file --proxies.
func (s *settings) proxies() (list []*url.URL, err error) {
	for _, p := range s.Proxy {
		if p.url != nil {
			list = append(list, p.url)
		}
	}
	if s.Proxies != "" {
		if list, err = readProxies(string(s.Proxies), list); err != nil {
			return nil, &failure{exitUsage, fmt.Errorf("--proxies: %w", err), "name a file with the URL of a proxy a line"}
		}
	}
	return list, nil
}

func readProxies(path string, list []*url.URL) ([]*url.URL, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	before := len(list)
	for line, err := range seedLines(f) { // which are written in the same way
		var p proxyURL
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", path, err)
		case line.long:
			err = fmt.Errorf("is longer than %d bytes", maxSeedLine)
		default:
			err = p.UnmarshalText([]byte(line.text))
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, line.number, err)
		}
		if list = append(list, p.url); len(list) > maxProxies {
			return nil, fmt.Errorf("%s has more than %d proxies", path, maxProxies)
		}
	}
	if len(list) == before {
		return nil, errors.New(path + " has no proxy")
	}
	return list, nil
}

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/gocolly/colly/v2"
	"github.com/klauspost/compress/gzip"
	"golang.org/x/net/html"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/httpclient"
)

// loopCommand as the first argument makes this program one of its contenders.
const loopCommand = "loop"

// task is what a contender that this program contains is given.
type task struct {
	urls, seeds []string
	hosts       int
	dir         string // with the files that describe the web
	job         string // directory for what is stored
}

// perHost is how many connections a host gets.
func (t task) perHost() int { return max(1, concurrency/t.hosts) }

var loops = map[string]func(context.Context, task) error{
	"bare":      func(ctx context.Context, t task) error { return bare(ctx, t, false, discard) },
	"resuming":  func(ctx context.Context, t task) error { return bare(ctx, t, true, discard) },
	"tokenizer": func(ctx context.Context, t task) error { return bare(ctx, t, false, tokenize) },
	"dom":       func(ctx context.Context, t task) error { return bare(ctx, t, false, selectLinks) },
	"session":   func(ctx context.Context, t task) error { return session(ctx, t, true) },
	"forgetful": func(ctx context.Context, t task) error { return session(ctx, t, false) },
	"goquery":   library,
	"colly":     visitAll,
	"one-core":  crawlTape,
	"two-cores": crawlTape,
}

// runLoop takes the name of a contender, the files of URLs and of seeds, and a directory.
func runLoop(ctx context.Context, args []string) error {
	if len(args) != 4 || loops[args[0]] == nil {
		return fmt.Errorf("usage: bench %s NAME URLS SEEDS DIR", loopCommand)
	}
	t := task{dir: filepath.Dir(args[1]), job: args[3]}
	var err error
	if t.urls, err = readLines(args[1]); err != nil {
		return err
	}
	if t.seeds, err = readLines(args[2]); err != nil {
		return err
	}
	t.hosts = len(t.seeds)
	err = loops[args[0]](ctx, t)
	if ctx.Err() != nil {
		return nil // stopped: what was done until then counts
	}
	return err
}

func readLines(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	return strings.Fields(string(text)), err
}

// each calls fetch for every URL, from as many goroutines as contenders have connections.
func each(ctx context.Context, t task, fetch func(ctx context.Context, url string, buf *bytes.Buffer) error) error {
	// Neighbours in the list are of one host: deal them out so that all hosts are asked at once, as a crawler does.
	queue := make(chan string)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	for range min(concurrency, t.perHost()*t.hosts) {
		workers.Go(func() {
			var buf bytes.Buffer
			for u := range queue {
				buf.Reset()
				if err := fetch(ctx, u, &buf); err != nil {
					cancel(fmt.Errorf("%s: %w", u, err))
					return
				}
			}
		})
	}
	perHost := len(t.urls) / t.hosts
	for page := range perHost {
		for host := range t.hosts {
			select {
			case queue <- t.urls[host*perHost+page]:
			case <-ctx.Done():
			}
		}
	}
	close(queue)
	workers.Wait()
	return context.Cause(ctx)
}

// bare downloads with net/http and gives each page to parse.
func bare(ctx context.Context, t task, resume bool, parse func(io.Reader) error) error {
	transport := &http.Transport{MaxIdleConnsPerHost: t.perHost(), DisableCompression: true, TLSClientConfig: &tls.Config{}}
	if resume {
		transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(t.hosts)
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	readers := sync.Pool{New: func() any { return new(gzip.Reader) }}
	return each(ctx, t, func(ctx context.Context, u string, buf *bytes.Buffer) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Encoding") != "gzip" {
			return fmt.Errorf("%s, content encoding %q", resp.Status, resp.Header.Get("Content-Encoding"))
		}
		z := readers.Get().(*gzip.Reader)
		defer readers.Put(z)
		if err := z.Reset(resp.Body); err != nil {
			return err
		}
		if _, err := buf.ReadFrom(z); err != nil {
			return err
		}
		return parse(bytes.NewReader(buf.Bytes()))
	})
}

func discard(io.Reader) error { return nil }

var errNoLinks = errors.New("a page without links")

func tokenize(page io.Reader) error {
	n := 0
	z := html.NewTokenizer(page)
	for z.Next() != html.ErrorToken {
		name, more := z.TagName()
		if len(name) != 1 || name[0] != 'a' {
			continue
		}
		for more {
			var key []byte
			if key, _, more = z.TagAttr(); string(key) == "href" {
				n++
			}
		}
	}
	if n == 0 {
		return errNoLinks
	}
	if z.Err() != io.EOF {
		return z.Err()
	}
	return nil
}

func selectLinks(page io.Reader) error {
	doc, err := goquery.NewDocumentFromReader(page)
	if err != nil {
		return err
	}
	if doc.Find("a[href]").Length() == 0 {
		return errNoLinks
	}
	return nil
}

// session downloads with package httpclient.
func session(ctx context.Context, t task, resume bool) (err error) {
	cfg := httpclient.TCPConfig{PoolConfig: httpclient.PoolConfig{Limit: concurrency, LimitPerHost: t.perHost()}}
	if !resume {
		cfg.TLSSessions = -1
	}
	connector, err := httpclient.NewTCPConnector(cfg)
	if err != nil {
		return err
	}
	s, err := httpclient.New(httpclient.Config{Connector: connector})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return each(ctx, t, func(ctx context.Context, u string, buf *bytes.Buffer) error {
		resp, err := s.Get(ctx, u)
		if err != nil {
			return err
		}
		defer resp.Release()
		body, err := resp.AppendBody(buf.AvailableBuffer())
		buf.Write(body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		return err
	})
}

// library crawls with a handler that selects with goquery.
func library(ctx context.Context, t task) error {
	return crawl(ctx, t, crawler.Config{Handler: crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
		doc, err := p.Document()
		if err == nil && doc.Find("a[href]").Length() == 0 {
			err = errNoLinks
		}
		return err
	})})
}

// crawl crawls by the library, otherwise as the crawl command does.
func crawl(ctx context.Context, t task, cfg crawler.Config) error {
	cfg.Dir, cfg.Seeds = filepath.Join(t.job, "job"), t.seeds
	cfg.Delay, cfg.PerHost = crawler.NoDelay, t.perHost()
	if cfg.Concurrency == 0 {
		cfg.Concurrency = concurrency
	}
	c, err := crawler.New(cfg)
	if err != nil {
		return err
	}
	_, err = c.Run(ctx)
	return errors.Join(err, c.Close())
}

// visitAll crawls with Colly.
func visitAll(ctx context.Context, t task) error {
	c := colly.NewCollector(colly.Async(true), colly.StdlibContext(ctx))
	c.IgnoreRobotsTxt = false
	c.WithTransport(&http.Transport{MaxIdleConnsPerHost: t.perHost()})
	if err := c.Limit(&colly.LimitRule{DomainGlob: "*", Parallelism: concurrency}); err != nil {
		return err
	}
	for _, seed := range t.seeds {
		u, err := url.Parse(seed)
		if err != nil {
			return err
		}
		if !slices.Contains(c.AllowedDomains, u.Hostname()) {
			c.AllowedDomains = append(c.AllowedDomains, u.Hostname())
		}
	}
	c.OnHTML("a[href]", func(e *colly.HTMLElement) {
		// Most links were visited: an error says no more than that.
		_ = e.Request.Visit(e.Attr("href"))
	})
	for _, seed := range t.seeds {
		if err := c.Visit(seed); err != nil {
			return err
		}
	}
	c.Wait()
	return nil
}

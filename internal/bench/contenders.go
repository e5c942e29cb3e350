package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	_ "embed"
)

// contender is a program that is measured.
type contender struct {
	name    string
	args    func(t tools, w *web, job string) ([]string, error)
	missing func(tools) bool
	most    time.Duration // when it is stopped, if it is too slow for a whole web; 0: only patience ends it
	cores   int           // 0: 1
	mayFail bool          // it ends with an error when pages are missing, say
	counts  bool          // it needs no server, and prints a taped
}

func present(tools) bool { return false }

var contenders = []contender{
	loop("bare"), loop("resuming"), loop("tokenizer"), loop("dom"), loop("session"), loop("forgetful"),
	{name: "crawl", args: crawlRun(concurrency), missing: present},
	{name: "no-bodies", args: crawlRun(concurrency, "--no-bodies"), missing: present},
	{name: "thousand", args: crawlRun(1000), missing: present},
	loop("goquery"),
	slow(loop("colly")),
	{name: "wget2", args: wget2, missing: func(t tools) bool { return t.wget2 == "" }, mayFail: true},
	slow(contender{name: "scrapy", args: scrapy, missing: func(t tools) bool { return t.scrapy == "" }}),
	offlineOn(1, "one-core"), offlineOn(2, "two-cores"),
}

// slow contenders are stopped after a while: their CPU a page gets no better with time.
func slow(c contender) contender {
	c.most = 15 * time.Second
	return c
}

func offlineOn(cores int, name string) contender {
	c := loop(name)
	c.cores, c.counts = cores, true
	return c
}

// loop is a contender that this program contains; see loops.
func loop(name string) contender {
	return contender{name: name, missing: present, args: func(t tools, w *web, job string) ([]string, error) {
		return []string{t.self, loopCommand, name, w.urls, w.seeds, job}, nil
	}}
}

// crawlRun is the crawl command with its durable defaults, but for the delay.
func crawlRun(workers int, flags ...string) func(tools, *web, string) ([]string, error) {
	return func(t tools, w *web, job string) ([]string, error) {
		return w.crawlArgs(t.crawl, job, workers, flags...), nil
	}
}

// crawlArgs is the command line of a crawl command, instrumented or not.
func (w *web) crawlArgs(program, job string, workers int, flags ...string) []string {
	return append([]string{
		program, "run", "--quiet", "--job", filepath.Join(job, "job"), "--seeds", w.seeds, "--delay", "0s",
		"--concurrency", strconv.Itoa(workers), "--per-host", strconv.Itoa(max(1, workers/w.spec.hosts)),
	}, flags...)
}

func wget2(t tools, w *web, job string) ([]string, error) {
	// With more threads than the five it has by default, it takes up to twice as long.
	args := []string{
		t.wget2, "--no-config", "--quiet", "--recursive", "--level=inf",
		"--directory-prefix=" + job, "--input-file=" + w.seeds,
	}
	if w.ca != "" {
		args = append(args, "--ca-certificate="+w.ca)
	}
	return args, nil
}

//go:embed spider.py
var spider []byte

func scrapy(t tools, w *web, job string) ([]string, error) {
	if w.spec.tls {
		return nil, errors.New("not measured over TLS")
	}
	file := filepath.Join(filepath.Dir(job), "spider.py")
	if err := os.WriteFile(file, spider, 0o644); err != nil {
		return nil, err
	}
	return []string{t.scrapy, "runspider", file, "--nolog", "-a", "seeds=" + w.seeds, "-s", "CONCURRENT_REQUESTS=" + strconv.Itoa(concurrency)}, nil
}

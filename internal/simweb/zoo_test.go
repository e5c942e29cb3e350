package simweb

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// What net/http makes of each exhibit, on virtual time: "status bytes error". Bodies are given up after 4 MB.
var zooOutcomes = map[string]string{
	"/zoo/close":             `^EOF$`,
	"/zoo/reset":             `^EOF$`, // a pipe knows no more
	"/zoo/stall":             `^context deadline exceeded`,
	"/zoo/stall-head":        `^context deadline exceeded`,
	"/zoo/stall-body":        `^200 19 context deadline exceeded`,
	"/zoo/drip":              `^200 (59|60) context deadline exceeded`,
	"/zoo/hangup":            `^200 5$`,
	"/zoo/unasked":           `^200 5$`,
	"/zoo/not-http":          `malformed HTTP`,
	"/zoo/no-head":           `malformed HTTP`,
	"/zoo/status-bad":        `malformed HTTP status code`,
	"/zoo/status-999":        `^999 0$`,
	"/zoo/switching":         `^101 2$`,
	"/zoo/interim":           `server response headers exceeded`,
	"/zoo/head-endless":      `server response headers exceeded`,
	"/zoo/field-endless":     `server response headers exceeded`,
	"/zoo/field-bad":         `malformed MIME header`,
	"/zoo/cookies":           `^200 0$`,
	"/zoo/length-long":       `^200 19 unexpected EOF$`,
	"/zoo/length-short":      `^200 5$`,
	"/zoo/length-two":        `Content-Length`,
	"/zoo/length-bad":        `bad Content-Length`,
	"/zoo/length-huge":       `bad Content-Length`,
	"/zoo/endless":           `^200 4194304$`,
	"/zoo/endless-close":     `^200 4194304$`,
	"/zoo/endless-chunked":   `^200 4194304$`,
	"/zoo/endless-trailer":   `^200 5 .*suspiciously long trailer`,
	"/zoo/chunk-bad":         `^200 0 invalid byte in chunk length`,
	"/zoo/chunk-cut":         `^200 5 unexpected EOF`,
	"/zoo/chunk-huge":        `^200 0 http chunk length too large`,
	"/zoo/chunk-extension":   `^200 0 header line too long`,
	"/zoo/gzip-bad":          `^200 0 gzip: invalid header`,
	"/zoo/gzip-cut":          `^200 19 unexpected EOF`,
	"/zoo/gzip-sum":          `^200 19 gzip: invalid checksum`,
	"/zoo/gzip-junk":         `^200 19 gzip: invalid header`,
	"/zoo/gzip-bomb":         `^200 4194304$`,
	"/zoo/coding-unknown":    `^200 5$`,
	"/zoo/binary":            `^200 4096$`,
	"/zoo/untyped":           `^200 19$`,
	"/zoo/links":             `^200 2[0-9]{6}$`,
	"/zoo/nested":            `^200 1[0-9]{6}$`,
	"/zoo/maze/1":            `^200 [0-9]+$`,
	"/zoo/loop":              `stopped after 10 redirects`,
	"/zoo/ring/1":            `stopped after 10 redirects`,
	"/zoo/chain/20":          `stopped after 10 redirects`,
	"/zoo/away/1":            `stopped after 10 redirects`,
	"/zoo/location-none":     `^302 0$`,
	"/zoo/location-bad":      `failed to parse Location header`,
	"/zoo/location-file":     `unsupported protocol scheme "file"`,
	"/zoo/location-userinfo": `connection refused`,
	"/zoo/busy/1":            `^429 0$`,
	"/zoo/down/1":            `^503 0$`,
	"/zoo/down-date":         `^503 0$`,
	"/zoo/down-bad":          `^503 0$`,
}

func TestZoo(t *testing.T) {
	exhibits := Zoo()
	if len(exhibits) != len(zooOutcomes) {
		t.Errorf("%d exhibits, %d outcomes", len(exhibits), len(zooOutcomes))
	}
	for _, e := range exhibits {
		t.Run(e.Path[len(zooPrefix):], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, err := New(Config{Hosts: 1, Zoo: true})
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				tr := &http.Transport{DialContext: w.DialContext}
				defer tr.CloseIdleConnections()
				client := &http.Client{Transport: tr, Timeout: time.Minute}
				got := outcome(client, "http://"+w.Host(0)+e.Path)
				if want, ok := zooOutcomes[e.Path]; !ok || !regexp.MustCompile(want).MatchString(got) {
					t.Errorf("%s, which %s:\n got %s\nwant %s", e.Path, e.What, got, want)
				}
				if c := w.Counts(); c.Zoo == 0 || c.Zoo != c.Requests {
					t.Errorf("counted %+v", c)
				}
			})
		})
	}
}

func outcome(client *http.Client, u string) string {
	resp, err := client.Get(u)
	if err != nil {
		return errors.Unwrap(err).Error()
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return fmt.Sprintf("%d %d %v", resp.StatusCode, n, err)
	}
	return fmt.Sprintf("%d %d", resp.StatusCode, n)
}

func TestZooNumbers(t *testing.T) {
	w := start(t, Config{Hosts: 1, Zoo: true})
	client := newClient(t, w, false)
	for _, test := range []struct {
		path, location, retry string
		status                int
	}{
		{"/zoo/chain/2", "1", "", 302},
		{"/zoo/chain/0", "", "", 200},
		{"/zoo/away/41", "42", "", 302},
		{"/zoo/ring/2", "0", "", 302},
		{"/zoo/busy/7", "", "7", 429},
		{"/zoo/busy/7", "", "", 200}, // the second time
		{"/zoo/busy/8", "", "8", 429},
		{"/zoo/down/3", "", "3", 503},
		{"/zoo/down/3", "", "3", 503},
		{"/zoo/down-bad", "", "soon", 503},
		{"/zoo/chain", "", "", 404},
		{"/zoo/close/1", "", "", 404},
		{"/zoo/none", "", "", 404},
	} {
		status, _, header := get(t, client, "http://"+w.Host(0)+test.path)
		if status != test.status || header.Get("Location") != test.location || header.Get("Retry-After") != test.retry {
			t.Errorf("%s: %d, Location %q, Retry-After %q", test.path, status, header.Get("Location"), header.Get("Retry-After"))
		}
	}
	w.Reset()
	if status, _, _ := get(t, client, "http://"+w.Host(0)+"/zoo/busy/7"); status != 429 {
		t.Errorf("after Reset a busy path answers %d", status)
	}

	_, err := client.Get("http://" + w.Host(0) + "/zoo/reset")
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset: %v", err)
	}

	closed := start(t, Config{Hosts: 1})
	if status, _, _ := get(t, newClient(t, closed, false), "http://"+closed.Host(0)+"/zoo/loop"); status != 404 {
		t.Errorf("without Config.Zoo its paths answer %d", status)
	}
}

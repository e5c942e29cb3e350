package warc

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/storage"
)

// responseHead returns the head of r's response as it is archived, with the
// empty line at its end, for a body of so many bytes.
func responseHead(r *storage.Record, bodySize int) []byte {
	if len(r.Head) == 0 {
		return madeHead(r)
	}
	statusLine, fields, _ := splitHead(r.Head)
	coded := false
	for _, f := range fields {
		coded = coded || isField(f, "Transfer-Encoding")
	}
	head := append(make([]byte, 0, len(r.Head)+80), statusLine...)
	head = append(head, "\r\n"...)
	for _, f := range fields {
		if coded && (isField(f, "Transfer-Encoding") || isField(f, "Content-Length")) {
			head = append(head, "X-Orig-"...)
		}
		head = append(append(head, f...), "\r\n"...)
	}
	if coded {
		head = appendField(head, "Content-Length", strconv.Itoa(bodySize))
	}
	return append(head, "\r\n"...)
}

// madeHead is the head for a record that has none.
func madeHead(r *storage.Record) []byte {
	head := []byte("HTTP/1.1 " + strconv.Itoa(r.Status) + " " + http.StatusText(r.Status) + "\r\n")
	contentType := r.ContentType
	if contentType != "" && r.Charset != "" {
		contentType += "; charset=" + r.Charset
	}
	for _, f := range []Field{{"Content-Type", contentType}, {"Content-Encoding", r.Encoding}} {
		if f.Value != "" {
			head = appendField(head, f.Name, f.Value)
		}
	}
	return append(head, "\r\n"...)
}

func isField(line []byte, name string) bool {
	before, _, found := bytes.Cut(line, []byte(":"))
	return found && strings.EqualFold(string(bytes.TrimSpace(before)), name)
}

// truncated is the value of WARC-Truncated; "" when the body is complete. A body that
// was not transferred again, as it is unchanged, has Bytes alone.
func truncated(r *storage.Record, body []byte) string {
	switch {
	case r.Truncated && r.ErrorClass == "timeout":
		return TruncatedTime
	case r.Truncated && r.ErrorClass == storage.ErrorClassLimit:
		return TruncatedLength
	case r.Truncated, body == nil && (r.WireBytes > 0 || r.Bytes > 0):
		return TruncatedUnspecified
	}
	return ""
}

// withoutUser returns url without the user and password that it may have before its
// host: an archive is given to others.
func withoutUser(url string) string {
	scheme, rest, found := strings.Cut(url, "://")
	if !found {
		return url
	}
	authority := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority = rest[:end]
	}
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return url
	}
	return scheme + "://" + rest[at+1:]
}

// fromRecord is the exchange that r tells of, as far as a storage knows it.
func fromRecord(r *storage.Record, body []byte) *Exchange {
	return &Exchange{
		URL: withoutUser(r.URL), Date: r.FetchedAt, Head: responseHead(r, len(body)), Body: body,
		Truncated: truncated(r, body), Metadata: metadata(r), serial: r.Seq,
	}
}

// metadata tells what the storage knows of the fetch, in the words of Heritrix.
func metadata(r *storage.Record) []Field {
	return FetchMetadata(r.Referrer, r.Depth, r.Redirects, r.Duration, "")
}

// maxHops is how many hops are spelt out.
const maxHops = 50

// FetchMetadata is the usual content of a metadata record: via, the page where the
// URL was found, if it is not "", without a user and password; hopsFromSeed, an L for every link and an R for
// every redirect after the last of them, the first ones of many as "12+";
// fetchTimeMs; and error, why there was no response or no whole one, if it is not "".
func FetchMetadata(via string, links, redirects int, took time.Duration, problem string) []Field {
	var list []Field
	if via != "" {
		list = append(list, Field{"via", uri(withoutUser(via))})
	}
	if links+redirects > 0 {
		redirects = min(redirects, maxHops)
		spelt := min(links, maxHops-redirects)
		hops := strings.Repeat("L", spelt) + strings.Repeat("R", redirects)
		if links > spelt {
			hops = strconv.Itoa(links-spelt) + "+" + hops
		}
		list = append(list, Field{"hopsFromSeed", hops})
	}
	list = append(list, Field{"fetchTimeMs", strconv.FormatInt(took.Milliseconds(), 10)})
	if problem != "" {
		list = append(list, Field{"error", problem})
	}
	return list
}

// madeRequest is a request for rawURL as the crawl will have sent it at least.
func madeRequest(rawURL, agent string) []byte {
	_, rest, found := strings.Cut(rawURL, "://")
	if !found {
		return nil
	}
	host, path := rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if strings.HasPrefix(path, "?") {
		path = "/" + path
	}
	b := append([]byte("GET "), uri(path)...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = appendField(b, "Host", uri(host[strings.LastIndexByte(host, '@')+1:]))
	if agent != "" {
		b = appendField(b, "User-Agent", agent)
	}
	return append(b, "\r\n"...)
}

package crawler

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
)

// maxKept is the largest buffer that is used again, maxKeptLinks as many links: one
// huge page must not hold its memory for the rest of the crawl.
const (
	maxKept      = 1 << 20
	maxKeptLinks = 4 << 10
)

// body is a page's body, as it was transferred and decoded.
type body struct {
	raw     bytes.Buffer // as transferred; kept until the page is committed
	decoded []byte
	room    *buffer // that decoded is in
	pool    *sync.Pool
}

func newBody(c *Crawler) *body {
	b, ok := c.bodies.Get().(*body)
	if !ok {
		b = &body{pool: &c.bodies}
	}
	return b
}

// release gives the buffer of the transferred bytes to another page.
func (b *body) release() {
	if b.raw.Cap() > maxKept {
		return
	}
	b.raw.Reset()
	b.decoded, b.room = nil, nil
	b.pool.Put(b)
}

// buffer is where a page's body is decoded to, and its links are gathered. All
// workers share a few: one that was filled a moment ago is in the processor's caches
// still, where one for each worker would not be.
type buffer struct {
	bytes []byte
	links []foundLink
}

// takeBuffer returns a buffer for one visit; an empty one, that is not given
// back, if a handler may keep the page.
func (c *Crawler) takeBuffer() *buffer {
	if c.handler == nil {
		if b, ok := c.buffers.Get().(*buffer); ok {
			return b
		}
	}
	return &buffer{}
}

// giveBuffer lets another visit have the buffer, whose bytes nobody uses any
// more.
func (c *Crawler) giveBuffer(b *buffer) {
	if c.handler == nil && cap(b.bytes) <= maxKept && cap(b.links) <= maxKeptLinks {
		c.buffers.Put(b)
	}
}

// sniff is the media type that the first bytes of a body look like.
func sniff(body []byte) string {
	t, _, _ := strings.Cut(http.DetectContentType(body), ";")
	return t
}

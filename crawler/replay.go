package crawler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orbweaver/orbweaver/httpclient"
)

// replayer answers requests with entries of the cache: through a session of its own,
// whose connections have the entry to say and then end, so that a response that is
// replayed is read like any other.
type replayer struct {
	session *httpclient.Session
	number  atomic.Uint64
	entries sync.Map // the request's number, by which its connection is asked for → *cacheEntry
}

func newReplayer(timeout time.Duration) (*replayer, error) {
	r := &replayer{}
	pool := httpclient.NewPool(httpclient.PoolConfig{Limit: httpclient.Unlimited, ForceClose: true}, r.dial)
	var err error
	r.session, err = httpclient.New(httpclient.Config{
		Connector: pool, Jar: httpclient.DummyJar{}, Timeout: httpclient.Timeout{Total: timeout},
	})
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return r, nil
}

// openReplay opens the cache and what replays it, if there is to be one.
func (c *Crawler) openReplay() (err error) {
	if c.cache, err = openCache(&c.cfg); c.cache == nil {
		return err
	}
	c.replayer, err = newReplayer(c.cfg.Timeout)
	return err
}

// do answers req with the entry. Nothing of it is told to req's trace: nobody is
// asked.
func (r *replayer) do(ctx context.Context, req *httpclient.Request, e *cacheEntry) (*httpclient.Response, error) {
	again, err := httpclient.NewRequest(req.Method, req.URL())
	if err != nil {
		return nil, err
	}
	again.NoRedirects, again.MaxBody, again.RawBody = req.NoRedirects, req.MaxBody, req.RawBody
	again.Isolate = strconv.FormatUint(r.number.Add(1), 10)
	r.entries.Store(again.Isolate, e)
	defer r.entries.Delete(again.Isolate)
	return r.session.Do(ctx, again)
}

func (r *replayer) dial(_ context.Context, key httpclient.ConnKey) (net.Conn, error) {
	e, ok := r.entries.Load(key.Isolate)
	if !ok {
		return nil, errors.New("the request is over")
	}
	return &replayConn{Reader: e.(*cacheEntry).wire()}, nil
}

// wire is the response as a server would have sent it by HTTP/1.1.
func (e *cacheEntry) wire() io.Reader {
	head := e.head
	if rest, found := bytes.CutPrefix(head, []byte("HTTP/2 ")); found {
		head = append([]byte("HTTP/1.1 "), rest...)
	}
	if fieldOf(head, "Transfer-Encoding") == "" {
		return io.MultiReader(bytes.NewReader(head), bytes.NewReader(e.body))
	}
	chunk := ""
	if len(e.body) > 0 {
		chunk = fmt.Sprintf("%x\r\n", len(e.body))
	}
	end := "0\r\n\r\n"
	if chunk != "" {
		end = "\r\n" + end
	}
	return io.MultiReader(bytes.NewReader(head), bytes.NewReader([]byte(chunk)), bytes.NewReader(e.body), bytes.NewReader([]byte(end)))
}

// replayConn is a connection to somebody who says one thing, whatever is asked.
type replayConn struct {
	io.Reader
}

func (c *replayConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *replayConn) Close() error                     { return nil }
func (c *replayConn) LocalAddr() net.Addr              { return replayAddr{} }
func (c *replayConn) RemoteAddr() net.Addr             { return replayAddr{} }
func (c *replayConn) SetDeadline(time.Time) error      { return nil }
func (c *replayConn) SetReadDeadline(time.Time) error  { return nil }
func (c *replayConn) SetWriteDeadline(time.Time) error { return nil }

type replayAddr struct{}

func (replayAddr) Network() string { return "cache" }
func (replayAddr) String() string  { return "cache" }

// keeping collects a response for the cache while it is read. A nil one collects
// nothing.
type keeping struct {
	*Crawler
	key  []byte
	body keptBody
	also io.Writer // who wants the body too; nil: nobody
}

func (k *keeping) Write(p []byte) (int, error) {
	_, _ = k.body.Write(p) // which never fails
	if k.also == nil {
		return len(p), nil
	}
	return k.also.Write(p)
}

// do makes the request, or replays what the cache has for it. Who has read the
// response tells what is returned second.
func (c *Crawler) do(ctx context.Context, req *httpclient.Request) (*httpclient.Response, *keeping, error) {
	if c.cache == nil {
		resp, err := c.session.Do(ctx, req)
		return resp, nil, err
	}
	key := c.cache.key(req, c.cfg.Header)
	if e := c.cache.load(key, time.Now()); e != nil {
		resp, err := c.replayer.do(ctx, req, e)
		if err == nil {
			c.cache.hits.Add(1)
			return resp, nil, nil
		}
		if ctx.Err() != nil {
			return nil, nil, err
		}
		c.cache.damaged.Add(1)
	}
	k := &keeping{Crawler: c, key: key, body: keptBody{most: c.cache.largest}, also: req.RawBody}
	req.RawBody = k
	resp, err := c.session.Do(ctx, req)
	return resp, k, err
}

// keep stores the response, if it is one to be kept and was read whole. err is why it
// was not.
func (k *keeping) keep(resp *httpclient.Response, err error) {
	if k == nil || err != nil || k.body.dropped || !lasting(resp.StatusCode) || resp.Truncated() || !resp.Body.EOF() ||
		!whole(resp, k.body.Len()) || len(k.key) > maxKeyHead || len(resp.RawHead()) > maxKeyHead {
		return
	}
	e := &cacheEntry{stored: time.Now(), key: k.key, head: resp.RawHead(), body: k.body.Bytes()}
	if err := k.cache.store(e); err != nil {
		k.cfg.Logger.Warn("cache", "error", err)
	}
}

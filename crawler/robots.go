package crawler

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/crawler/robots"
)

const (
	robotsCached   = 16 << 10        // origins in memory, as many as the frontier has hosts there,
	robotsBytes    = 32 << 20        // and bytes of their files
	robotsMaxDelay = 5 * time.Minute // the most of a Crawl-delay that is kept to
)

// robotsEntry is what is known of an origin's robots.txt: the last answer to go
// by, and what became of asking for it since.
type robotsEntry struct {
	Origin  string    `json:"-"`
	Fetched time.Time `json:"fetched,omitzero"` // when Status and Body were answered
	Expires time.Time `json:"expires"`          // then it is asked for again
	Status  int       `json:"status,omitempty"` // of the last answer to go by; 0: there was none
	Body    []byte    `json:"body,omitempty"`   // of a 2xx
	Tries   int       `json:"tries,omitempty"`  // in a row without an answer to go by
	Final   bool      `json:"final,omitempty"`  // no URL is to wait for one
	Error   string    `json:"error,omitempty"`  // why there was none
	Class   string    `json:"class,omitempty"`  // of that error

	Sitemaps bool `json:"sitemaps,omitempty"` // those that it names, or is guessed to, were added

	file *robots.File // of the last answer; nil: there was none
	size int64        // of the file
}

// usable says whether the last answer counts: it does as long as it is fresh,
// and while there is no new one up to an age.
func (e *robotsEntry) usable(now time.Time, maxStale time.Duration) bool {
	return e.file != nil && (e.Tries == 0 || now.Sub(e.Fetched) <= maxStale)
}

func (e *robotsEntry) put(b *bbolt.Bucket) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return b.Put([]byte(e.Origin), text)
}

// parse sets file from what is kept.
func (e *robotsEntry) parse() {
	e.size = int64(len(e.Body))
	if f, unreachable := robots.ForStatus(e.Status, e.Body); !unreachable {
		e.file = f
	}
}

// crawlDelay is the pause that robots.txt asks for; 0 if it asks for none.
func (e *robotsEntry) crawlDelay(agent string) time.Duration {
	if e == nil || e.file == nil {
		return 0
	}
	delay, _ := e.file.CrawlDelay(agent)
	return min(delay, robotsMaxDelay)
}

// robotsOf returns what the job keeps of an origin, or nil.
func (j *Job) robotsOf(origin string) (e *robotsEntry, err error) {
	err = j.view(func(b *bbolt.Bucket) error {
		if e, err = robotsIn(b.Bucket(bucketRobots), origin); e != nil {
			e.parse()
		}
		return err
	})
	return e, err
}

// robotsIn reads the entry of an origin; nil if there is none.
func robotsIn(b *bbolt.Bucket, origin string) (*robotsEntry, error) {
	text := b.Get([]byte(origin))
	if text == nil {
		return nil, nil
	}
	e := &robotsEntry{Origin: origin}
	if err := json.Unmarshal(text, e); err != nil {
		return nil, fmt.Errorf("%w: robots of %s: %w", ErrCorrupt, origin, err)
	}
	return e, nil
}

// noteSitemaps notes in the entry of an origin that its sitemaps were added.
func noteSitemaps(b *bbolt.Bucket, origin string) error {
	e, err := robotsIn(b, origin)
	if e == nil {
		return err
	}
	e.Sitemaps = true
	return e.put(b)
}

// robotsCache has the robots.txt of the origins that are being crawled: a
// bounded number in memory, all of them in the job. Its methods may be called
// at once.
type robotsCache struct {
	job   *Job
	cache *lru.Cache[string, *robotsEntry]
	bytes atomic.Int64 // of the files in cache

	mu       sync.Mutex
	fetching map[string]chan struct{} // closed when the fetch is over
	chains   map[string]robotsChain   // redirects that were followed so far, by origin
	foreign  map[string]time.Time     // when a host that redirects led to may be asked again
}

// robotsChain is how far the redirects of a robots.txt were followed when its
// host was due a pause.
type robotsChain struct {
	url  string
	hops int
}

func newRobotsCache(j *Job) *robotsCache {
	c := &robotsCache{
		job: j, fetching: make(map[string]chan struct{}),
		chains: make(map[string]robotsChain), foreign: make(map[string]time.Time),
	}
	var err error
	c.cache, err = lru.NewWithEvict(robotsCached, func(_ string, e *robotsEntry) { c.bytes.Add(-e.size) })
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return c
}

// get returns the entry of an origin, expired or not; nil if there is none. It
// has no Body.
func (c *robotsCache) get(origin string) (*robotsEntry, error) {
	if e, ok := c.cache.Get(origin); ok {
		return e, nil
	}
	e, err := c.job.robotsOf(origin)
	if err != nil || e == nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if newer, ok := c.cache.Peek(origin); ok { // somebody has added it, or noted something in it, meanwhile
		return newer, nil
	}
	c.replace(e)
	return e, nil
}

// add keeps an entry in memory, without the bytes that the job has.
func (c *robotsCache) add(e *robotsEntry) {
	c.mu.Lock() // or what two add at once of one origin counts twice
	defer c.mu.Unlock()
	c.replace(e)
}

// beginSitemaps says whether the caller is to add the sitemaps of an entry, and notes
// that it does. Nobody else is told to.
func (c *robotsCache) beginSitemaps(e *robotsEntry) (mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now, ok := c.cache.Peek(e.Origin); ok && (now.Sitemaps || !now.Fetched.Equal(e.Fetched)) {
		return false
	}
	noted := *e
	noted.Sitemaps = true
	c.replace(&noted)
	return true
}

// replace is add for who holds mu.
func (c *robotsCache) replace(e *robotsEntry) {
	lean := *e
	lean.Body = nil
	c.cache.Remove(e.Origin)
	c.bytes.Add(e.size)
	c.cache.Add(e.Origin, &lean)
	for c.bytes.Load() > robotsBytes && c.cache.Len() > 1 {
		c.cache.RemoveOldest()
	}
}

// begin says whether the caller is to fetch the origin's robots.txt, and then
// must call end. If somebody else is, it waits until they have.
func (c *robotsCache) begin(ctx context.Context, origin string) (mine bool) {
	c.mu.Lock()
	busy, ok := c.fetching[origin]
	if !ok {
		c.fetching[origin] = make(chan struct{})
	}
	c.mu.Unlock()
	if !ok {
		return true
	}
	select {
	case <-busy:
	case <-ctx.Done():
	}
	return false
}

func (c *robotsCache) end(origin string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.fetching[origin])
	delete(c.fetching, origin)
}

// keepChain remembers how far the redirects of an origin's robots.txt were
// followed; takeChain gives it back, once.
func (c *robotsCache) keepChain(origin string, chain robotsChain) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.chains) >= robotsCached {
		clear(c.chains) // they begin anew
	}
	c.chains[origin] = chain
}

func (c *robotsCache) takeChain(origin string) robotsChain {
	c.mu.Lock()
	defer c.mu.Unlock()
	chain, ok := c.chains[origin]
	if !ok {
		return robotsChain{url: origin + "/robots.txt"}
	}
	delete(c.chains, origin)
	return chain
}

// bookForeign takes a place in the queue for a host that nobody has leased, and
// returns how long to wait for it.
func (c *robotsCache) bookForeign(host string, delay time.Duration, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.foreign) >= robotsCached {
		for h, t := range c.foreign {
			if t.Before(now) {
				delete(c.foreign, h)
			}
		}
	}
	wait := max(0, c.foreign[host].Sub(now))
	if wait <= robotsForeignWait {
		c.foreign[host] = now.Add(wait + delay)
	}
	return wait
}

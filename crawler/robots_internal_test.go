package crawler

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestRobotsCacheIsBounded fills the cache with files of the greatest size.
func TestRobotsCacheIsBounded(t *testing.T) {
	j, err := createJob(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	c := newRobotsCache(j)
	body := bytes.Repeat([]byte("Disallow: /a\n"), 40_000)
	for i := range 200 {
		e := &robotsEntry{Origin: fmt.Sprintf("http://h%d", i%150), Status: 200, Body: body, Expires: time.Now().Add(time.Hour)}
		e.parse()
		c.add(e)
	}
	if n := c.bytes.Load(); n > robotsBytes || n != int64(c.cache.Len())*int64(len(body)) {
		t.Errorf("%d bytes in %d entries of %d", n, c.cache.Len(), len(body))
	}
	if e, err := c.get("http://h49"); err != nil || e == nil || e.Body != nil {
		t.Errorf("the newest entry: %+v, %v", e, err)
	}
	if e, err := c.get("http://h60"); err != nil || e != nil {
		t.Errorf("an old entry, which the job does not have: %+v, %v", e, err)
	}
}

// TestRobotsCacheAddedAtOnce has workers learn of one origin at the same time, whose file
// counts once all the same.
func TestRobotsCacheAddedAtOnce(t *testing.T) {
	j, err := createJob(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	c := newRobotsCache(j)
	e := &robotsEntry{Origin: "http://h", Status: 200, Body: make([]byte, 1000), Expires: time.Now().Add(time.Hour)}
	e.parse()
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for range 20_000 {
				c.add(e)
			}
		})
	}
	workers.Wait()
	if n := c.bytes.Load(); n != e.size || c.cache.Len() != 1 {
		t.Errorf("%d bytes in %d entries, want %d in one", n, c.cache.Len(), e.size)
	}
}

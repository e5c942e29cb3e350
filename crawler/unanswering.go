package crawler

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.etcd.io/bbolt"
)

const (
	unansweringHosts = 1 << 16         // remembered at once
	maxHostBlock     = 5 * time.Minute // between two tries
	hostDownAge      = time.Hour       // then a host that was given up is tried again
)

// unanswering has the hosts that did not answer their latest requests at all.
// Without it each URL of a host that died would cost its tries and pauses. A
// bounded number of hosts is in memory, all of them in the job. Its methods may be
// called at once.
type unanswering struct {
	limit int                                // failures in a row that give a host up; 0: none do
	kept  func(host string) (silence, error) // what the job has; nil: nothing

	mu    sync.Mutex
	hosts *lru.Cache[string, silence]
}

// silence is a host's failures in a row.
type silence struct {
	times int
	last  time.Time
}

// keptSilence is a host's silence on its way into the job.
type keptSilence struct {
	host string
	silence
}

// put writes it down, or that there is none.
func (k *keptSilence) put(b *bbolt.Bucket) error {
	if k.times == 0 {
		return b.Delete([]byte(k.host))
	}
	v := binary.BigEndian.AppendUint32(nil, uint32(k.times))
	return b.Put([]byte(k.host), binary.BigEndian.AppendUint64(v, uint64(k.last.UnixNano())))
}

// silenceOf is what the job has of a host.
func (j *Job) silenceOf(host string) (s silence, err error) {
	err = j.view(func(b *bbolt.Bucket) error {
		v := b.Bucket(bucketSilent).Get([]byte(host))
		switch {
		case v == nil:
			return nil
		case len(v) != 12:
			return fmt.Errorf("%w: failures of %s", ErrCorrupt, host)
		}
		s.times = int(binary.BigEndian.Uint32(v))
		s.last = time.Unix(0, int64(binary.BigEndian.Uint64(v[4:])))
		return nil
	})
	return s, err
}

func newUnanswering(limit int, kept func(host string) (silence, error)) *unanswering {
	hosts, err := lru.New[string, silence](unansweringHosts)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return &unanswering{limit: limit, kept: kept, hosts: hosts}
}

// get returns a host's failures. u.mu is held.
func (u *unanswering) get(host string) (silence, error) {
	s, ok := u.hosts.Get(host)
	if ok || u.kept == nil {
		return s, nil
	}
	s, err := u.kept(host)
	if err == nil {
		u.hosts.Add(host, s)
	}
	return s, err
}

// answered forgets a host's failures, and reports whether there were any.
func (u *unanswering) answered(host string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	s, _ := u.hosts.Get(host) // down has seen to it that it is there
	if s.times > 0 {
		u.hosts.Add(host, silence{})
	}
	return s.times > 0
}

// failed counts a request that began at a time and got no answer, and returns
// until when the host is to be left alone: zero after a first failure, then 1 s,
// 2 s, 4 s, … Requests that were under way together count as one. It also
// returns all of the host's failures.
func (u *unanswering) failed(host string, began, now time.Time) (blocked time.Time, _ silence) {
	if u.limit == 0 {
		return time.Time{}, silence{}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	s, _ := u.hosts.Get(host)
	if s.times == 0 || began.After(s.last) {
		s = silence{s.times + 1, now}
		u.hosts.Add(host, s)
	}
	if s.times == 1 || s.times >= u.limit {
		return time.Time{}, s
	}
	return s.last.Add(min(time.Second<<min(s.times-2, 20), maxHostBlock)), s
}

// down says whether a host has been given up.
func (u *unanswering) down(host string, now time.Time) (bool, error) {
	if u.limit == 0 {
		return false, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	s, err := u.get(host)
	return s.times >= u.limit && now.Sub(s.last) < hostDownAge, err
}

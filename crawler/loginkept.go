package crawler

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

var bucketLogins = []byte("logins")

// keptLogin is what the job keeps of a login.
type keptLogin struct {
	Session  bool      `json:"session,omitempty"`  // there is one, in the job's cookies
	Failures int       `json:"failures,omitempty"` // in a row; a try that is under way is one
	Barren   int       `json:"barren,omitempty"`   // sessions in a row without a good page
	Until    time.Time `json:"until,omitzero"`     // no other try before
	Why      string    `json:"why,omitempty"`      // the last one failed
	Seal     seal      `json:"seal,omitzero"`      // of what has failed
}

// maxKeptWhy bounds Why, in bytes.
const maxKeptWhy = 1 << 10

func (k *keptLogin) why() string { return orDefault(k.Why, "its end was not seen") }

// loginKey is under what the login of a site is kept, whose hosts may be many.
func loginKey(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}

// put writes down how the login stands, or that there is nothing to say. Changes are
// not committed in the order in which they were made, so it is as of now.
func (l *loginState) put(b *bbolt.Bucket) error {
	k := l.kept(time.Now())
	if !k.Session && k.Failures+k.Barren == 0 {
		return b.Delete(loginKey(l.name))
	}
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return b.Put(loginKey(l.name), text)
}

func (l *loginState) kept(now time.Time) keptLogin {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := keptLogin{Session: l.valid && l.durable, Failures: l.failures, Barren: l.barren, Until: l.until, Why: l.why}
	if l.busy {
		k.Failures++
		k.Until = l.next(k.Failures, now)
	}
	k.Why = k.Why[:min(len(k.Why), maxKeptWhy)]
	if k.Failures+k.Barren > 0 {
		k.Seal = l.sealed()
	}
	return k
}

// take takes up what the job has kept.
func (l *loginState) take(k keptLogin, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.valid = k.Session && l.durable
	if k.Failures+k.Barren == 0 || !k.Seal.fits(l.identity()) {
		return
	}
	l.failures, l.barren, l.why, l.seal = k.Failures, k.Barren, k.why(), k.Seal
	if l.until = k.Until; l.until.Sub(now) > loginDownAge {
		l.until = now.Add(loginDownAge) // the clock was wrong, then or now
	}
}

// identity is what tells the login from another one.
func (l *loginState) identity() []byte {
	if l.settings == nil {
		return []byte(l.About)
	}
	return l.settings()
}

// sealed is the seal of the login, which takes a while to make. l.mu is held.
func (l *loginState) sealed() seal {
	if l.seal.Salt == nil {
		l.seal = newSeal(l.identity())
	}
	return l.seal
}

// keptLogin is what the job has of a site's login.
func (j *Job) keptLogin(name string) (k keptLogin, err error) {
	err = j.view(func(b *bbolt.Bucket) error {
		text := b.Bucket(bucketLogins).Get(loginKey(name))
		if text == nil {
			return nil
		}
		if err := json.Unmarshal(text, &k); err != nil {
			return fmt.Errorf("%w: logins: %w", ErrCorrupt, err)
		}
		return nil
	})
	return k, err
}

// explainLogin tells how the crawl logs in at a site, and until when it does not.
func (j *Job) explainLogin(r *rules, name string, now time.Time) (string, error) {
	about := r.Logins[name]
	k, err := j.keptLogin(name)
	if err != nil || about == "" || !k.Until.After(now) {
		return about, err
	}
	return fmt.Sprintf("%s; %d failures in a row, not tried again before %s: %s",
		about, k.Failures, k.Until.UTC().Format(time.RFC3339), k.why()), nil
}

// takeLogins takes up how the logins stood.
func (c *Crawler) takeLogins() error {
	for _, l := range c.scope.sites.logins {
		l.durable = c.cookies != nil
		k, err := c.job.keptLogin(l.name)
		if err != nil {
			return err
		}
		l.take(k, time.Now())
	}
	return nil
}

// seal tells whether settings are those that were sealed. They hold a password, of
// which it must tell no more: it is slow to make, and so short that many settings have
// the same.
type seal struct {
	Salt []byte `json:"salt"`
	Mark []byte `json:"mark"`
}

const (
	sealRounds = 1 << 14
	sealSalt   = 16 // bytes
	sealMark   = 2
)

func newSeal(settings []byte) seal {
	s := seal{Salt: make([]byte, sealSalt)}
	_, _ = rand.Read(s.Salt) // never fails
	s.Mark = s.mark(settings)
	return s
}

func (s seal) fits(settings []byte) bool { return bytes.Equal(s.Mark, s.mark(settings)) }

func (s seal) mark(settings []byte) []byte {
	key, err := pbkdf2.Key(sha256.New, string(settings), s.Salt, sealRounds, sha256.Size)
	if err != nil {
		return nil // where that is not allowed, all fit
	}
	return key[:sealMark]
}

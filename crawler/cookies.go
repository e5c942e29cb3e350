package crawler

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/orbweaver/orbweaver/httpclient"
)

// cookiesEvery is how long after a change cookies are written at the latest.
const cookiesEvery = 5 * time.Second

// keptCookies is the jar of a job and its file. Its methods may be called at once.
type keptCookies struct {
	jar  *httpclient.Jar
	path string

	mu    sync.Mutex
	saved uint64 // the jar's Puts when the file was written
}

func keepable(jar httpclient.CookieJar) bool {
	if jar == nil {
		return true
	}
	_, ok := jar.(*httpclient.Jar)
	return ok
}

// openCookies settles which jar the session has, and fills it with what the job
// has kept.
func (c *Crawler) openCookies() (httpclient.CookieJar, error) {
	jar := c.cfg.Jar
	if jar == nil && (c.cfg.KeepCookies || c.scope.sites.haveLogins) {
		// Who logs in at a host by its address wants the cookies of that host.
		jar = httpclient.NewCookieJar(httpclient.JarConfig{AllowIP: true})
	}
	if jar == nil {
		return httpclient.DummyJar{}, nil
	}
	if !c.cfg.KeepCookies {
		return jar, nil
	}
	kept := &keptCookies{jar: jar.(*httpclient.Jar), path: filepath.Join(c.job.dir, cookiesName)}
	c.cookies = kept
	return jar, c.job.wrap("read cookies of", kept.load())
}

// load adds what the file has to the jar, below what that has already.
func (k *keptCookies) load() error {
	var given bytes.Buffer
	if err := k.jar.Save(&given); err != nil {
		return err
	}
	// What a killed process was writing is of no use.
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(k.path), "."+cookiesName+".*"))
	for _, name := range left {
		_ = os.Remove(name)
	}
	switch err := k.jar.LoadFile(k.path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil // its Puts say whether there is anything to save
	case err != nil:
		return fmt.Errorf("%s: %w; without that file the crawl begins without cookies", filepath.Base(k.path), err)
	}
	if given.Len() == 0 {
		k.saved = k.jar.Puts()
		return nil
	}
	return k.jar.Load(&given)
}

// save writes the file if it is not up to date. A nil k has none.
func (k *keptCookies) save() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	puts := k.jar.Puts() // before they are read: what comes meanwhile is for the next time
	if puts == k.saved {
		return nil
	}
	if err := k.jar.SaveFile(k.path); err != nil {
		return err
	}
	k.saved = puts
	return nil
}

// saveCookies writes the cookies while the crawl goes on. That they cannot be
// written is logged, as the next time may go better.
func (c *Crawler) saveCookies() {
	if err := c.cookies.save(); err != nil {
		c.cfg.Logger.Warn("cookies cannot be kept", "error", err)
	}
}

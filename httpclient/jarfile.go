package httpclient

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"
)

// maxJarLine is the longest line of a cookie file, in bytes. A cookie of the
// greatest size fits even when JSON escapes all of it.
const maxJarLine = 64 << 10

// JarFileError tells which line of a cookie file could not be read.
type JarFileError struct {
	Line int // from 1
	Err  error
}

func (e *JarFileError) Error() string {
	return fmt.Sprintf("httpclient: cookie file, line %d: %v", e.Line, e.Err)
}

func (e *JarFileError) Unwrap() error { return e.Err }

// savedEntry is a line of a cookie file in JSON. Bytes that are not UTF-8 go to
// the second form of a field, in base64.
type savedEntry struct {
	Domain     string    `json:"domain"` // "": shared
	Path       string    `json:"path,omitempty"`
	PathBytes  []byte    `json:"path_bytes,omitempty"`
	Name       string    `json:"name,omitempty"`
	NameBytes  []byte    `json:"name_bytes,omitempty"`
	Value      string    `json:"value,omitempty"`
	ValueBytes []byte    `json:"value_bytes,omitempty"`
	Expires    time.Time `json:"expires,omitzero"`
	Created    time.Time `json:"created,omitzero"`
	HostOnly   bool      `json:"host_only,omitempty"`
	Secure     bool      `json:"secure,omitempty"`
	HTTPOnly   bool      `json:"http_only,omitempty"`
	SameSite   string    `json:"same_site,omitempty"`
}

var sameSiteNames = map[http.SameSite]string{
	http.SameSiteDefaultMode: "default", http.SameSiteLaxMode: "lax",
	http.SameSiteStrictMode: "strict", http.SameSiteNoneMode: "none",
}

func saved(e *Entry) *savedEntry {
	s := &savedEntry{
		Domain: e.Domain, Expires: e.Expires, Created: e.Created,
		HostOnly: e.HostOnly, Secure: e.Secure, HTTPOnly: e.HTTPOnly, SameSite: sameSiteNames[e.SameSite],
	}
	s.Path, s.PathBytes = textOrBytes(e.Path)
	s.Name, s.NameBytes = textOrBytes(e.Name)
	s.Value, s.ValueBytes = textOrBytes(e.Value)
	return s
}

func (s *savedEntry) entry() *Entry {
	e := &Entry{
		Name: s.Name + string(s.NameBytes), Value: s.Value + string(s.ValueBytes), Path: s.Path + string(s.PathBytes),
		Domain: s.Domain, Expires: s.Expires, Created: s.Created,
		HostOnly: s.HostOnly, Secure: s.Secure, HTTPOnly: s.HTTPOnly,
	}
	for mode, name := range sameSiteNames {
		if name == s.SameSite {
			e.SameSite = mode
		}
	}
	return e
}

func textOrBytes(s string) (string, []byte) {
	if utf8.ValidString(s) {
		return s, nil
	}
	return "", []byte(s)
}

// Save writes the cookies of the jar to w, a JSON object a line, oldest first,
// those without an expiry included.
func (j *Jar) Save(w io.Writer) error {
	bw := bufio.NewWriter(w)
	enc := json.NewEncoder(bw)
	enc.SetEscapeHTML(false)
	for _, e := range j.snapshot() {
		if err := enc.Encode(saved(e)); err != nil {
			return err
		}
	}
	return bw.Flush()
}

// Load adds the cookies that [Jar.Save] wrote. Expired ones are left out, and
// those that the jar may not keep are refused and counted. The error is that of r
// or a *[JarFileError]; the cookies of the lines before it have been added.
func (j *Jar) Load(r io.Reader) error {
	return eachLine(r, func(line []byte) error {
		var s savedEntry
		if len(bytes.TrimSpace(line)) == 0 {
			return nil
		}
		if err := json.Unmarshal(line, &s); err != nil {
			return err
		}
		j.add(s.entry())
		return nil
	})
}

// eachLine calls fn for each line of r, and tells the line of the first error.
func eachLine(r io.Reader, fn func(line []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxJarLine)
	n := 1
	for ; lines.Scan(); n++ {
		if err := fn(lines.Bytes()); err != nil {
			return &JarFileError{Line: n, Err: err}
		}
	}
	if err := lines.Err(); err == bufio.ErrTooLong {
		return &JarFileError{Line: n, Err: err}
	} else if err != nil {
		return err
	}
	return nil
}

// add stores an entry that did not come from a response, and counts refusals.
func (j *Jar) add(e *Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	key, refused := j.check(e)
	if refused == accepted {
		now := j.now()
		created := e.Created
		if created.IsZero() || created.After(now) {
			created = now
		}
		if e.Created = created; !e.Expires.IsZero() && e.Expires.Sub(now) > j.maxLifetime {
			e.Expires = now.Add(j.maxLifetime)
		}
		j.put(key, &cookie{Entry: *e}, now)
	}
	j.stats.refused[refused]++
}

// check applies to an entry what does not depend on who sets it, and returns the
// key of its site. It completes the path.
func (j *Jar) check(e *Entry) (key string, refused Refusal) {
	switch {
	case e.Name == "" || strings.ContainsAny(e.Name, "=;") || strings.Contains(e.Value, ";"),
		hasControl(e.Name), hasControl(e.Value), hasControl(e.Path), strings.Contains(e.Path, ";"):
		return "", RefusedMalformed
	case len(e.Name)+len(e.Value) > maxCookieSize, len(e.Path) > maxAttributeSize:
		return "", RefusedTooLarge
	}
	if !strings.HasPrefix(e.Path, "/") {
		e.Path = "/"
	}
	if e.Domain == "" {
		e.HostOnly = false
		return "", accepted
	}
	host, ok := canonicalHost(e.Domain)
	if !ok {
		return "", RefusedURL
	}
	e.Domain = host
	switch {
	case isIP(host) && !j.allowIP:
		return "", RefusedIPHost
	case isIP(host):
		e.HostOnly = true
		return host, accepted
	case !e.HostOnly && j.suffixes.PublicSuffix(host) == host:
		return "", RefusedPublicSuffix
	case !prefixHonoured(e, &setCookie{domain: domainIfNot(e.HostOnly, host), path: e.Path}):
		return "", RefusedPrefix
	}
	return j.registrable(host), accepted
}

func domainIfNot(hostOnly bool, host string) string {
	if hostOnly {
		return ""
	}
	return host
}

// SaveFile writes the cookies to the named file, in the Netscape format if its
// name ends in ".txt" and else as [Jar.Save] does. The file is replaced whole or
// not at all, is on disk when SaveFile returns, and only its owner can read it.
func (j *Jar) SaveFile(name string) (err error) {
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, "."+filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	save := j.Save
	if strings.HasSuffix(name, ".txt") {
		save = j.SaveNetscape
	}
	if err = save(f); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(dir)
}

// Puts counts the cookies that were set, replaced or removed. While it stays the
// same, a file that was saved is as good as a new one.
func (j *Jar) Puts() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.puts
}

// syncDir makes a rename in dir last. Not every file system can sync a directory.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}

// LoadFile adds the cookies of the named file, which may be in either of the
// formats of [Jar.SaveFile]: what it contains decides. A file that does not exist
// is an error that is [io/fs.ErrNotExist].
func (j *Jar) LoadFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	br := bufio.NewReader(f)
	if isJSONLines(br) {
		return j.Load(br)
	}
	return j.LoadNetscape(br)
}

func isJSONLines(br *bufio.Reader) bool {
	head, _ := br.Peek(256)
	head = bytes.TrimLeft(head, " \t\r\n")
	return len(head) > 0 && head[0] == '{'
}

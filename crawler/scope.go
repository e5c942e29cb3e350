package crawler

import (
	"fmt"
	"hash/maphash"
	"strings"
	"sync"

	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// ScopeKind says how far from its seeds a crawl goes.
type ScopeKind int

const (
	// ScopeHost takes the hosts of the seeds: same name and port, either scheme.
	ScopeHost ScopeKind = iota
	// ScopeDomain takes the registrable domains of the seeds with all their
	// sub-domains, after the public suffix list.
	ScopeDomain
	// ScopePrefix takes what lies under the directory of a seed's path, on the
	// seed's host.
	ScopePrefix
	// ScopeAny takes the whole web.
	ScopeAny
)

var scopeNames = [...]string{"host", "domain", "prefix", "any"}

func (k ScopeKind) valid() bool { return k >= 0 && int(k) < len(scopeNames) }

// String returns the kind's name as ParseScopeKind reads it.
func (k ScopeKind) String() string {
	if !k.valid() {
		return fmt.Sprintf("ScopeKind(%d)", int(k))
	}
	return scopeNames[k]
}

// ParseScopeKind reads "host", "domain", "prefix" or "any".
func ParseScopeKind(s string) (ScopeKind, error) {
	for i, name := range scopeNames {
		if s == name {
			return ScopeKind(i), nil
		}
	}
	return 0, fmt.Errorf("crawler: %q is no scope: it is one of %s", s, strings.Join(scopeNames[:], ", "))
}

// MarshalText returns the kind's name.
func (k ScopeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what ParseScopeKind does.
func (k *ScopeKind) UnmarshalText(text []byte) (err error) {
	*k, err = ParseScopeKind(string(text))
	return err
}

// roots are what the seeds bring into scope: their hosts, their domains and
// their directories. They grow as seeds are added and cost eight bytes each. The
// methods may be called at once.
type roots struct {
	seed maphash.Seed
	uses [ScopeAny]bool // by ScopeKind: somebody asks for these

	mu   sync.RWMutex
	seen [ScopeAny]map[uint64]struct{} // by ScopeKind: hashes
}

func newRoots() *roots {
	r := &roots{seed: maphash.MakeSeed()}
	for k := range r.seen {
		r.seen[k] = make(map[uint64]struct{})
	}
	r.uses[ScopePrefix] = true // to know which seeds' directories are new
	return r
}

// add widens the roots to what a seed stands for, given its host and directory,
// and says whether that host and directory are new.
func (r *roots) add(key string) bool {
	for k := range ScopeAny {
		if r.uses[k] && k != ScopePrefix {
			r.put(k, rootOf(k, key))
		}
	}
	return r.put(ScopePrefix, key)
}

func (r *roots) put(k ScopeKind, root string) bool {
	h := maphash.String(r.seed, root)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.seen[k][h]
	r.seen[k][h] = struct{}{}
	return !known
}

func (r *roots) has(k ScopeKind, root string) bool {
	h := maphash.String(r.seed, root)
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.seen[k][h]
	return ok
}

// rootOf is the host or domain of a seed's host and directory.
func rootOf(k ScopeKind, key string) string {
	host := hostOf(key)
	if k == ScopeDomain {
		name, _ := splitHost(host)
		return weburl.Domain(strings.Trim(name, "[]")) // an IPv6 address has brackets in a host alone
	}
	return host
}

// hostOf is what stands before the first slash.
func hostOf(key string) string {
	host, _, _ := strings.Cut(key, "/")
	return host
}

// directory is path up to its last slash, that included.
func directory(path string) string { return path[:strings.LastIndexByte(path, '/')+1] }

// under looks for each directory on the way to path.
func (r *roots) under(host, path string) bool {
	for dir := directory(path); dir != ""; dir = directory(strings.TrimSuffix(dir, "/")) {
		if r.has(ScopePrefix, host+dir) {
			return true
		}
	}
	return false
}

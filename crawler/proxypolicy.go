package crawler

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// ProxyPolicy says which of Config.Proxies takes a request.
type ProxyPolicy int

const (
	// ProxySticky sends all requests to a host through one proxy, so that a site sees
	// one client, as long as that proxy works. Which it is follows from the host and
	// the list, over restarts too; when a proxy is added or taken away, few hosts move.
	ProxySticky ProxyPolicy = iota
	// ProxyRoundRobin sends each request through the next one.
	ProxyRoundRobin
)

var proxyPolicyNames = [...]string{"sticky", "round-robin"}

func (p ProxyPolicy) String() string {
	if p < 0 || int(p) >= len(proxyPolicyNames) {
		return "unknown"
	}
	return proxyPolicyNames[p]
}

// ParseProxyPolicy reads what String writes.
func ParseProxyPolicy(text string) (ProxyPolicy, error) {
	if i := slices.Index(proxyPolicyNames[:], text); i >= 0 {
		return ProxyPolicy(i), nil
	}
	return 0, fmt.Errorf("%q is none of %s", text, strings.Join(proxyPolicyNames[:], ", "))
}

// choose returns the proxy for a request to a host, nil if none is left that is in
// and not among those tried.
func (ps *proxies) choose(host string, tried []*proxy, now time.Time) (best *proxy) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	fit := func(p *proxy) bool { return !p.out.After(now) && !slices.Contains(tried, p) }
	if ps.policy == ProxyRoundRobin {
		for range ps.list {
			p := ps.list[ps.turn%len(ps.list)]
			if ps.turn = (ps.turn + 1) % len(ps.list); fit(p) {
				return p
			}
		}
		return nil
	}
	h, most := hash64(host), uint64(0)
	for _, p := range ps.list {
		if s := score(p.weight, h); fit(p) && (best == nil || s > most) {
			best, most = p, s
		}
	}
	return best
}

func hash64(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // cannot fail
	return h.Sum64()
}

// score ranks a proxy for a host: the one with the highest takes it (rendezvous
// hashing).
func score(weight, host uint64) uint64 {
	x := weight ^ host
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9 // mixes as splitmix64 does
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// keptProxy is a proxy as the job keeps it for Explain.
type keptProxy struct {
	Name   string `json:"name"`
	Weight uint64 `json:"weight"`
}

func keepProxies(cfg *Config) (list []keptProxy) {
	for _, p := range newProxies(cfg.Proxies, cfg.ProxyPolicy).list {
		list = append(list, keptProxy{p.name, p.weight})
	}
	return list
}

// proxyFor tells for people what a host is asked through.
func (r *rules) proxyFor(host string) string {
	switch {
	case len(r.Proxies) == 0:
		return ""
	case len(r.Proxies) == 1:
		return r.Proxies[0].Name
	case r.ProxyPolicy == ProxyRoundRobin:
		return fmt.Sprintf("each of %d in turn", len(r.Proxies))
	}
	name, _ := splitHost(host)
	h := hash64(strings.Trim(name, "[]"))
	best := slices.MaxFunc(r.Proxies, func(a, b keptProxy) int {
		if score(a.Weight, h) < score(b.Weight, h) {
			return -1
		}
		return 1
	})
	return fmt.Sprintf("%s, of %d, as long as it works", best.Name, len(r.Proxies))
}

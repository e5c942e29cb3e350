package frontier

import "time"

// maxGrace is added to a host's delay while it is not known when its last request arrived there: a request that travels
// slowly, followed by one that travels fast, must not come sooner after it than the delay.
const maxGrace = 50 * time.Millisecond

// start is a request sent to a host.
type start struct {
	at       time.Time // when it was written; zero: never
	answered time.Time // when the first byte of the answer came, which proves that it had arrived; zero: not yet
}

// next is when the host's next request may start.
func (s start) next(delay time.Duration) time.Time {
	if s.at.IsZero() {
		return time.Time{}
	}
	arrived := s.at.Add(min(maxGrace, delay))
	if !s.answered.IsZero() {
		arrived = earlier(arrived, later(s.at, s.answered))
	}
	return arrived.Add(delay)
}

// setDelay finds the time from start to start in force for the host, by its policy, its wish, and how soon it answers.
func (h *host) setDelay(c *Config) {
	h.delay = max(h.policy.Delay, min(h.wish, c.MaxDelay))
	if a := &c.Adaptive; a.Factor > 0 {
		adapted := a.Max
		if d := a.Factor * float64(h.response); d < float64(a.Max) { // else it may not fit a Duration
			adapted = time.Duration(d)
		}
		h.delay = max(h.delay, a.Min, adapted)
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

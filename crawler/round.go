package crawler

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/storage"
)

// Round is one pass over a job's URLs. The first begins with the job, each other
// with a run that has Config.Recrawl.
type Round struct {
	Number int       `json:"number"` // from 1
	Began  time.Time `json:"began"`
	Ended  time.Time `json:"ended,omitzero"` // when nothing was left to fetch; zero: it goes on

	// After is the Seq of the last result of the rounds before. Those with a greater
	// one are of this round or a later one.
	After uint64 `json:"after"`

	// Fetched is Stats.Fetched when the round began.
	Fetched int64 `json:"fetched"`

	// Requeued is the Seq of the last result that was looked at for URLs that wait
	// again. Until it is After, not all of them do.
	Requeued uint64 `json:"requeued"`
}

var bucketRounds = []byte("rounds")

func roundKey(number int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(number)) }

func (r *Round) put(b *bbolt.Bucket) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return b.Bucket(bucketRounds).Put(roundKey(r.Number), text)
}

// Rounds returns the job's rounds in their order. A job that never ran has none.
func (j *Job) Rounds() (rounds []Round, err error) {
	err = j.view(func(b *bbolt.Bucket) error {
		bucket := b.Bucket(bucketRounds)
		if bucket == nil {
			return nil // as only read since a version without rounds
		}
		return bucket.ForEach(func(_, text []byte) error {
			var r Round
			if err := json.Unmarshal(text, &r); err != nil {
				return fmt.Errorf("%w: rounds: %w", ErrCorrupt, err)
			}
			rounds = append(rounds, r)
			return nil
		})
	})
	return rounds, err
}

// openRound finds the round that goes on. If there is none, or the last one is at
// its end and another is wanted, it begins one. The URLs of that wait once requeue
// is through.
func (c *Crawler) openRound() error {
	rounds, err := c.job.Rounds()
	if err != nil {
		return err
	}
	if len(rounds) == 0 {
		c.round = Round{Number: 1, Began: time.Now()}
		return c.job.update("write to", c.round.put)
	}
	c.round = rounds[len(rounds)-1]
	if !c.cfg.Recrawl {
		return nil
	}
	queue, err := c.job.backend.Stats(context.Background())
	if err != nil {
		return c.job.wrap("read", err)
	}
	kept, err := c.job.store.Stats(context.Background())
	if err != nil {
		return c.job.wrap("read", err)
	}
	last := uint64(kept.Records)
	if queue.Waiting > 0 || c.round.Requeued < c.round.After || last == c.round.After {
		return nil
	}
	n, err := c.job.counters()
	if err != nil {
		return err
	}
	c.round = Round{Number: c.round.Number + 1, Began: time.Now(), After: last, Fetched: n.Fetched}
	n.Changes = nil
	return c.job.update("write to", func(b *bbolt.Bucket) error {
		text, err := json.Marshal(&n)
		if err != nil {
			return err
		}
		if err := b.Put(keyCounters, text); err != nil {
			return err
		}
		return c.round.put(b)
	})
}

// requeueBatch is how many results are looked at for one commit.
const requeueBatch = 512

// requeue lets the URLs of the rounds before wait again, as far as they do not
// yet, in commits that say how far it has come.
func (c *Crawler) requeue(ctx context.Context) error {
	for c.round.Requeued < c.round.After {
		if ctx.Err() != nil {
			return nil // the next run goes on
		}
		round := c.round
		var again []frontier.Request
		looked := 0
		for rec, err := range c.job.store.Records(context.Background(), round.Requeued) {
			if err != nil {
				return c.job.wrap("read", err)
			}
			if rec.Seq > round.After {
				break
			}
			newest, err := c.job.store.Get(context.Background(), rec.URL)
			if err != nil {
				return c.job.wrap("read", err)
			}
			round.Requeued = rec.Seq
			if newest.Seq == rec.Seq {
				again = append(again, requestOf(rec))
			}
			if looked++; looked == requeueBatch {
				break
			}
		}
		if looked == 0 {
			return c.job.wrap("read", fmt.Errorf("%w: results up to %d are missing", ErrCorrupt, round.After))
		}
		if err := c.commits.commit(&change{again: again, round: &round}); err != nil {
			return err
		}
		c.round = round
	}
	return nil
}

// requestOf asks for the URL of a result again. The priority and the hops that led to
// it are not kept in results.
func requestOf(rec *storage.Record) frontier.Request {
	kind, err := links.ParseKinds(rec.Kind)
	if err != nil {
		kind = 0 // a name that this version does not know
	}
	e := envelope{kind: kind, user: rec.Data}
	if kind == links.Sitemap {
		e.quota = quota{maxSitemaps, 1} // for those that it names now
	}
	req := frontier.Request{
		URL: rec.URL, Host: rec.Host, Referrer: rec.Referrer, Depth: rec.Depth,
		Redirects: rec.Redirects, Label: rec.Label, Data: e.encode(),
	}
	if kind == links.Sitemap {
		req.Priority = math.MaxInt8 // for what it says of the others
	}
	return req
}

// endRound notes that nothing of the round is left to fetch.
func (c *Crawler) endRound() error {
	n := c.commits.snapshot()
	if !c.round.Ended.IsZero() && n.Fetched+n.Failed == c.base.Fetched+c.base.Failed {
		return nil // it was at its end before this run
	}
	round := c.round
	round.Ended = time.Now()
	if err := c.commits.commit(&change{round: &round}); err != nil {
		return err
	}
	c.round = round
	return nil
}

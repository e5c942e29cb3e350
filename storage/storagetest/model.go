package storagetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/storage"
)

// model is the simplest thing that answers like a Store.
type model struct {
	recs []*storage.Record // with Body and Items, by Seq-1
}

func (m *model) newest(url string) *storage.Record {
	for i := len(m.recs) - 1; i >= 0; i-- {
		if m.recs[i].URL == url {
			return m.recs[i]
		}
	}
	return nil
}

func (m *model) stats() storage.Stats {
	var s storage.Stats
	for _, r := range m.recs {
		s.Add(r)
	}
	return s
}

func (m *model) items(after uint64) []storage.Item {
	var all []storage.Item
	for _, r := range m.recs[min(after, uint64(len(m.recs))):] {
		for _, data := range r.Items {
			all = append(all, storage.Item{Seq: r.Seq, URL: r.URL, Label: r.Label, Data: data})
		}
	}
	return all
}

func (m *model) selected(q storage.Query) (recs []*storage.Record) {
	for _, r := range m.recs {
		if q.Matches(r) {
			recs = append(recs, bare(r))
		}
	}
	return recs
}

// randomQuery bounds times by those of records.
func (m *model) randomQuery(rng *rand.Rand) (q storage.Query) {
	at := func() time.Time {
		if len(m.recs) == 0 || rng.IntN(3) == 0 {
			return time.Time{}
		}
		return m.recs[rng.IntN(len(m.recs))].FetchedAt
	}
	q.From, q.To = at(), at()
	if rng.IntN(2) == 0 {
		q.After = rng.Uint64N(uint64(len(m.recs)) + 2)
	}
	if rng.IntN(2) == 0 {
		q.Host = fmt.Sprintf("h%d.example", rng.IntN(5)) // of which there are four
	}
	return q
}

// testModel performs random operations on the store and on a model, and
// compares what they answer. Its seed is in the log when it fails.
func testModel(t *testing.T, f *fixture) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	runModel(t, f, rand.New(rand.NewPCG(seed, 0)), 400)
}

func runModel(t *testing.T, f *fixture, rng *rand.Rand, steps int) {
	ctx := t.Context()
	m := &model{}
	for step := range steps {
		switch n := rng.IntN(100); {
		case n < 45:
			m.append(t, f, rng)
		case n < 60:
			url := randomURL(rng)
			got, err := f.Get(ctx, url)
			switch want := m.newest(url); {
			case want == nil:
				wantError(t, "Get "+url, err, storage.ErrNotFound)
			case err != nil:
				t.Errorf("Get %s: %v", url, err)
			default:
				wantEqual(t, "Get "+url, got, bare(want))
			}
		case n < 75:
			seq := rng.Uint64N(uint64(len(m.recs)) + 2)
			m.compareBody(t, f, seq)
		case n < 82:
			after := rng.Uint64N(uint64(len(m.recs)) + 2)
			want := bares(m.recs[min(after, uint64(len(m.recs))):]...)
			wantEqual(t, "Records", collect(t, f.Records(ctx, after)), want)
		case n < 88:
			after := rng.Uint64N(uint64(len(m.recs)) + 2)
			wantEqual(t, "Items", collect(t, f.Items(ctx, after)), m.items(after))
		case n < 91:
			q := m.randomQuery(rng)
			wantEqual(t, fmt.Sprintf("Select %+v", q), collect(t, storage.Select(ctx, f.Store, q)), m.selected(q))
		case n < 94:
			got, err := f.Stats(ctx)
			if err != nil {
				t.Fatal(err)
			}
			wantEqual(t, "Stats", got, m.stats())
		case n < 97:
			if err := f.Check(ctx); err != nil {
				t.Error(err)
			}
		case f.reopen != nil:
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			f.Store = f.reopen()
		}
		if t.Failed() {
			t.Fatalf("at step %d, with %d records", step, len(m.recs))
		}
	}
}

func (m *model) append(t *testing.T, f *fixture, rng *rand.Rand) {
	var recs []*storage.Record
	for range rng.IntN(8) {
		r := randomRecord(rng)
		if old := m.newest(r.URL); old != nil && rng.IntN(2) == 0 {
			r.Body, r.BodySeq, r.Change = nil, old.BodySeq, storage.ChangeUnchanged
		}
		recs = append(recs, r)
	}
	if len(recs) > 0 && rng.IntN(10) == 0 { // a batch that is refused as a whole
		bad := append(recs, &storage.Record{})
		if err := f.Append(t.Context(), bad); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("Append without a URL: %v", err)
		}
		return
	}
	f.append(t, recs...)
	for _, r := range recs {
		m.recs = append(m.recs, r)
		if r.Seq != uint64(len(m.recs)) {
			t.Errorf("Seq %d, want %d", r.Seq, len(m.recs))
		}
	}
}

func (m *model) compareBody(t *testing.T, f *fixture, seq uint64) {
	body, err := f.Body(t.Context(), seq)
	if seq == 0 || seq > uint64(len(m.recs)) || m.recs[seq-1].BodySeq == 0 {
		wantError(t, fmt.Sprint("Body of ", seq), err, storage.ErrNotFound)
		return
	}
	want := m.recs[m.recs[seq-1].BodySeq-1].Body
	if err != nil || !bytes.Equal(body, want) {
		t.Errorf("Body of %d: %d bytes, %v; want %d bytes", seq, len(body), err, len(want))
	}
}

func randomURL(rng *rand.Rand) string {
	return fmt.Sprintf("http://h%d.example/%d", rng.IntN(4), rng.IntN(60))
}

func randomRecord(rng *rand.Rand) *storage.Record {
	r := &storage.Record{URL: randomURL(rng), Depth: rng.IntN(9), Status: rng.IntN(700) - 10}
	maybe := func() bool { return rng.IntN(2) == 0 }
	if maybe() {
		r.FinalURL, r.Host = r.URL, r.URL[len("http://"):len("http://")+len("h0.example")]
	}
	if maybe() {
		r.Referrer, r.FinalURL, r.Label = randomURL(rng), randomURL(rng), "label"
		r.Data = randomBytes(rng, 100)
	}
	if maybe() {
		r.Title, r.Error, r.ErrorClass = string(randomBytes(rng, 40)), string(randomBytes(rng, 20)), "dns"
		r.Truncated = maybe()
	}
	if maybe() {
		r.Kind, r.Rel, r.Robots = "image", "nofollow", "noindex"
		r.Digest, r.Change = rng.Uint64(), storage.ChangeChanged
	}
	if maybe() {
		r.FetchedAt = time.Unix(rng.Int64N(1<<36)-1<<35, rng.Int64N(1e9)).UTC()
		r.Duration = time.Duration(rng.Int64N(1 << 40))
		r.Bytes, r.WireBytes = rng.Int64N(1<<40), rng.Int64N(1<<40)
		r.Links, r.Attempts, r.Redirects = rng.IntN(1000), rng.IntN(5), rng.IntN(5)
		r.Proto, r.ContentType, r.Charset, r.Encoding = "HTTP/1.1", "text/html", "utf-8", "br"
		r.Head = randomBytes(rng, 500)
	}
	switch rng.IntN(10) {
	case 0:
		r.Body = []byte{}
	case 1, 2, 3, 4:
		r.Body = randomBytes(rng, 3000)
	case 5:
		r.Body = randomBytes(rng, 200_000)
	}
	for range max(0, rng.IntN(5)-2) {
		data, err := json.Marshal(map[string]any{"title": string(randomBytes(rng, 20)), "n": rng.Int()})
		if err != nil {
			panic(err) // a string and a number have JSON
		}
		r.Items = append(r.Items, data)
	}
	return r
}

// randomBytes returns 0 to limit bytes, never nil.
func randomBytes(rng *rand.Rand, limit int) []byte {
	b := make([]byte, rng.IntN(limit+1))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

package boltfrontier

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
)

// someRequests are requests of host with all that a request can have.
func someRequests(host string) []frontier.Request {
	return []frontier.Request{
		{URL: "https://" + host + "/"},
		{URL: "https://" + host + "/a/b?c=d", Referrer: "https://" + host + "/", Depth: 1},
		{URL: "https://" + host + "/a/b?c=e", Referrer: "https://" + host + "/", Depth: 1},
		{URL: "https://" + host + "/a", Referrer: "https://elsewhere.example/x", Depth: 300, Redirects: 2},
		{URL: "http://" + host + "/a", Priority: -128, Attempt: 1 << 30},
		{URL: "https://" + host, NotBefore: time.Unix(1_700_000_000, 123), Label: "label", Data: []byte("data")},
		{URL: "\xff\x00", Referrer: "https://" + host + "/", Priority: 127},
		{URL: "https://" + host + "/" + strings.Repeat("long", 1000), Data: bytes.Repeat([]byte{7}, 1000)},
	}
}

// encodeChunk makes a chunk of requests; a new run begins before each of those in runs.
func encodeChunk(host string, reqs []frontier.Request, runs ...int) []byte {
	var e encoder
	chunk := []byte{byte(len(reqs))}
	for i := range reqs {
		if slices.Contains(runs, i) {
			e.restart()
		}
		chunk = e.append(chunk, []byte(host), &reqs[i])
	}
	return chunk
}

func decodeChunk(host string, chunk []byte) (reqs []frontier.Request, reason string) {
	var d decoder
	d.reset([]byte(host), chunk)
	for d.next() {
		reqs = append(reqs, d.request(host))
	}
	return reqs, d.reason
}

func TestChunkRoundTrip(t *testing.T) {
	const host = "www.example.org"
	for _, runs := range [][]int{nil, {1}, {4}, {1, 2, 3, 4, 5, 6, 7}} {
		want := someRequests(host)
		got, reason := decodeChunk(host, encodeChunk(host, want, runs...))
		if reason != "" {
			t.Fatalf("runs %v: %s", runs, reason)
		}
		for i := range want {
			want[i].Host = host
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("runs %v: %s", runs, diff)
		}
	}
}

// TestChunkSize holds the coding to what it is for: links of one page take little more than what is new in them.
func TestChunkSize(t *testing.T) {
	const host = "www.example.org"
	var reqs []frontier.Request
	for n := range 50 {
		reqs = append(reqs, frontier.Request{
			URL:      fmt.Sprintf("https://%s/articles/%08x", host, n*0x9e3779b9),
			Referrer: "https://" + host + "/articles/index.html", Depth: 5,
		})
	}
	if n := len(encodeChunk(host, reqs)); n > 50*12+60 {
		t.Errorf("50 links take %d bytes, of which 400 are new", n)
	}
}

func FuzzChunk(f *testing.F) {
	const host = "www.example.org"
	f.Add(encodeChunk(host, someRequests(host), 4))
	f.Add(encodeChunk(host, someRequests(host)[:1]))
	f.Add([]byte{})
	f.Add([]byte{1, flagRun, 0x80})
	f.Add([]byte{2, flagRun, 3, 1, 'x', flagSameReferrer, 0, 0})
	f.Fuzz(func(t *testing.T, chunk []byte) {
		reqs, reason := decodeChunk(host, chunk)
		if reason != "" {
			return
		}
		again, reason := decodeChunk(host, encodeChunk(host, reqs))
		if reason != "" {
			t.Fatal(reason)
		}
		if diff := cmp.Diff(reqs, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func someHost() host {
	return host{
		id: 7, name: []byte("www.example.org"), delay: int64(time.Second), next: 1 << 60, blocked: 5, due: 1 << 60,
		since: 1 << 59, flags: flagPaused | flagReopened, closed: frontier.ClosedBytes, pages: 1 << 40, bytes: 1 << 50,
		pending: 100, kept: 200, later: 101, dropped: 300, known: 1000, seq: 40,
		open: []openChunk{{chunkRef{kind: kindQueue, class: 127, seq: 39}, 5}, {chunkRef{kind: kindLater, at: 1 << 60, seq: 1}, 1 << 63}},
	}
}

func TestHostRoundTrip(t *testing.T) {
	want := someHost()
	var got host
	if err := decodeHost(&got, 7, want.encode(nil)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(host{}, openChunk{}, chunkRef{})); diff != "" {
		t.Error(diff)
	}
}

func FuzzHost(f *testing.F) {
	h := someHost()
	f.Add(h.encode(nil))
	f.Add((&host{name: []byte("x")}).encode(nil))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 100))
	f.Fuzz(func(t *testing.T, v []byte) {
		var h, again host
		if decodeHost(&h, 1, v) != nil {
			return
		}
		if err := decodeHost(&again, 1, h.encode(nil)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(h, again, cmp.AllowUnexported(host{}, openChunk{}, chunkRef{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzChunkKey(f *testing.F) {
	f.Add(chunkRef{kind: kindQueue, class: 3, seq: maxSeq}.key(9))
	f.Add(chunkRef{kind: kindLater, at: math.MaxInt64, seq: 1}.key(math.MaxUint32))
	f.Add([]byte{0, 0, 0, 1, 3})
	f.Fuzz(func(t *testing.T, k []byte) {
		id, ref, err := parseChunkKey(k)
		if err != nil {
			return
		}
		if !bytes.Equal(ref.key(id), k) {
			t.Fatalf("%x comes back as %x", k, ref.key(id))
		}
		gotID, gotRef, i := parsePosition(ref.position(id, 63))
		if gotID != id || gotRef != ref || i != 63 {
			t.Fatalf("position of %d %+v gives %d %+v %d", id, ref, gotID, gotRef, i)
		}
	})
}

// TestSeen adds random fingerprints, many of them close together, to hosts, and compares with a map.
func TestSeen(t *testing.T) {
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	random := rand.New(rand.NewPCG(1, 1))
	draw := func() uint64 {
		fp := random.Uint64()
		switch random.IntN(4) {
		case 0: // in few prefixes
			return fp & 0x0000_0007_ffff_ffff
		case 1: // at the ends
			return []uint64{0, 1, math.MaxUint64, math.MaxUint64 - 1, 1 << 32, 1<<32 - 1}[random.IntN(6)]
		}
		return fp
	}
	seen := make(map[uint32]map[uint64]bool)
	alloc := func(n int) []byte { return make([]byte, 0, n) }
	for range 300 {
		err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(seenBucket)
			if err != nil {
				return err
			}
			tree := &tree{seen: b}
			id := []uint32{1, 2, 3, math.MaxUint32}[random.IntN(4)]
			if seen[id] == nil {
				seen[id] = make(map[uint64]bool)
			}
			fps := make([]fingerprint, random.IntN(1000))
			for i := range fps {
				fps[i].fp = draw()
			}
			slices.SortFunc(fps, func(f, g fingerprint) int {
				if f.fp < g.fp {
					return -1
				}
				return 1
			})
			before := len(seen[id])
			if err := tree.mergeSeen(id, fps, alloc); err != nil {
				return err
			}
			added := 0
			for _, f := range fps {
				if f.known != seen[id][f.fp] {
					t.Fatalf("host %d: %x is known: %t, want %t", id, f.fp, f.known, !f.known)
				}
				seen[id][f.fp] = true
				if !f.known {
					added++
				}
			}
			if added != len(seen[id])-before {
				t.Fatalf("%d added, want %d", added, len(seen[id])-before)
			}
			for range 20 {
				fp := draw()
				if before == 0 && len(fps) == 0 {
					break
				}
				if ok, err := tree.hasSeen(id, fp); err != nil || ok != seen[id][fp] {
					t.Fatalf("hasSeen: %t, %v; want %t", ok, err, seen[id][fp])
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	sizes := make(map[uint32]int)
	_ = db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(seenBucket).ForEach(func(k, v []byte) error {
			sizes[binary.BigEndian.Uint32(k)] += len(v) / 8
			return nil
		})
	})
	for id, fps := range seen {
		if sizes[id] != len(fps) {
			t.Errorf("host %d has %d fingerprints on disk, want %d", id, sizes[id], len(fps))
		}
	}
}

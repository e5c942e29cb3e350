package boltfrontier

import (
	"encoding/binary"
	"math"

	"github.com/orbweaver/orbweaver/frontier"
)

// What belongs to many hosts lies far apart in the buckets that are sorted by host: written at once, nearly each fingerprint and each
// request would cost pages of its own. So there are two logs, of fingerprints (recent.go) and of requests (inbox.go), to which a
// transaction appends what it finds, and from which a few are merged into their places with each transaction, once there are
// so many that some of them share pages there.
//
// The logs are in memory as well. They are changed there before the transaction is committed, and not told when it is not. So each
// transaction that changes them writes down their version, and one that finds another version than it should reads
// them again.
//
// So are the ids of some hosts, which the same version guards.
type logs struct {
	version uint64
	recent  recent
	inbox   inbox
	ids     map[uint64]uint32 // of some hosts, by the fingerprints of their names
}

// maxIDs bounds logs.ids, to some 3 MB.
const maxIDs = 128 << 10

// hostID returns the id of a host, 0 if it has none, for the one writing transaction.
func (b *Backend) hostID(t *tree, name string) (uint32, error) {
	fp := frontier.Fingerprint(b.key, name)
	if id := b.logs.ids[fp]; id != 0 {
		return id, nil
	}
	id, err := t.hostID(name)
	if err != nil || id == 0 {
		return id, err
	}
	if len(b.logs.ids) == maxIDs {
		clear(b.logs.ids)
	}
	b.logs.ids[fp] = id
	return id, nil
}

// mergeLeast is how many more than twice what it adds a transaction merges: a log shrinks faster than it grows.
const mergeLeast = 64

func readVersion(t *tree) (uint64, error) { return t.number(versionKey) }

// number reads 8 bytes of meta.
func (t *tree) number(key []byte) (uint64, error) {
	v := t.meta.Get(key)
	if len(v) != 8 {
		return 0, corrupt(metaBucket, key, "not 8 bytes")
	}
	return binary.BigEndian.Uint64(v), nil
}

// loadLogs makes the logs in memory what they are in the transaction of t.
func (b *Backend) loadLogs(t *tree) error {
	b.logs.version = math.MaxUint64 // none, should this fail
	version, err := readVersion(t)
	if err != nil {
		return err
	}
	if err := b.logs.recent.load(t); err != nil {
		return err
	}
	in, err := loadInbox(t)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.logs.inbox = in
	b.mu.Unlock()
	b.logs.ids = make(map[uint64]uint32)
	b.logs.version = version
	return nil
}

// beginLogs gives t the logs, read again if need be. Until finish, they have a version that is nowhere.
func (b *Backend) beginLogs(t *tree) error {
	version, err := readVersion(t)
	if err != nil {
		return err
	}
	l := &b.logs
	if version != l.version {
		if err := b.loadLogs(t); err != nil {
			return err
		}
	}
	if l.inbox.cut { // and that is committed
		b.mu.Lock()
		l.inbox.forget()
		b.mu.Unlock()
	}
	l.version++
	l.recent.before, l.inbox.before = len(l.recent.fresh), len(l.inbox.entries)
	t.logs = l
	return nil
}

// unchanged ends what beginLogs began, when nothing was added since.
func (l *logs) unchanged() { l.version-- }

// finish writes down what was added to the logs since beginLogs, and merges some of them. total is how many URLs are known, hosts
// whether some got their ids.
func (l *logs) finish(t *tree, total uint64, hosts bool, s *scratch) error {
	seen, err := l.recent.finish(t, total, s)
	if err != nil {
		return err
	}
	queued, err := l.inbox.finish(t, total, s)
	if err != nil {
		return err
	}
	if !seen && !queued && !hosts {
		l.unchanged()
		return nil
	}
	return t.meta.Put(versionKey, binary.BigEndian.AppendUint64(s.alloc(8), l.version))
}

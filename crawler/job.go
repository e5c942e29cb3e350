package crawler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/frontier/boltfrontier"
	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/boltstore"
	"github.com/orbweaver/orbweaver/storage/warc"
)

// A job's directory holds
//
//	job.db       one bbolt database: frontier, results, and the bucket below; for its owner
//	             alone, as settings may hold credentials
//	pid          the process that has the job open, or had it last
//	cookies.jsonl with Config.KeepCookies: the cookies, for its owner alone
//	status.json  what a running crawl last said of itself
//	control.sock the control socket of a running crawl (see control_protocol.go)
//	warc         with Config.WARC: web archives and their indexes
//	job.db.compact, while Compact runs: its copy of the database
//	job.db.new-…, while the job is made: the database, until it is whole
//
// and the database's bucket "job" holds
//
//	format    the version of this layout, decimal
//	settings  Config.Settings
//	counters  JSON of counters, written with each commit
//	roots/    host and directory of every seed (see scope), without values
//	robots/   origin → JSON of robotsEntry
//	rounds/   number, four bytes → JSON of Round
//	logins/   SHA-256 of the hosts of a site → JSON of keptLogin
//	novelty/  part of a site that is given up (see Novelty), without values
//	silent/   host that did not answer its latest requests → their number (4 bytes), Unix nanoseconds of the last (8)
const (
	databaseName = "job.db"
	pidName      = "pid"
	statusName   = "status.json"
	cookiesName  = "cookies.jsonl"

	jobFormat = 2
)

var (
	bucketJob    = []byte("job")
	bucketRoots  = []byte("roots")
	bucketRobots = []byte("robots")
	bucketSilent = []byte("silent")
	keyFormat    = []byte("format")
	keySettings  = []byte("settings")
	keyCounters  = []byte("counters")
)

// smallestDatabase is less than any database has: bbolt makes it with four
// pages, and takes one of fewer than two for an error of the file system.
const smallestDatabase = 2 * 4096

// lockTimeout is how long opening waits for a process that is just leaving.
const lockTimeout = 300 * time.Millisecond

// What can be wrong with a job's directory.
var (
	ErrNotJob  = errors.New("is no crawl job")
	ErrLocked  = errors.New("is in use")
	ErrFormat  = errors.New("was written by another version")
	ErrCorrupt = errors.New("database is damaged")

	// ErrURLRules: Config.URLs are not those with which the job was begun, so that
	// what it knows and what it would find now could not be compared.
	ErrURLRules = errors.New("was begun with other rules for URLs")
)

// JobError says what could not be done with a job. Err is, or wraps, ErrNotJob,
// ErrLocked, ErrFormat, ErrCorrupt or an error of the file system.
type JobError struct {
	Op  string // "create", "open", "commit", …
	Dir string
	Err error
}

func (e *JobError) Error() string { return fmt.Sprintf("crawler: %s job %s: %v", e.Op, e.Dir, e.Err) }
func (e *JobError) Unwrap() error { return e.Err }

// LockedError names the process that has the job open.
type LockedError struct {
	PID int // 0: unknown
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return "is in use by another process"
	}
	return fmt.Sprintf("is in use by process %d", e.PID)
}

// Is reports that a LockedError is an ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// Job is a job at rest: its results, its counters, and what is known of any
// URL. It is read only, and open for reading by several processes at once, but
// not while a crawl runs. Its methods may be called at once.
type Job struct {
	dir     string
	db      *bbolt.DB
	page    int         // of db, in bytes; asking it while it is written to is a race
	file    os.FileInfo // of db when it was opened
	backend *boltfrontier.Backend
	store   *boltstore.Store
	memory  int64         // see Config.Memory
	trimmed atomic.Uint32 // where trim goes on
	// mappedElse is how many bytes of other files trim found resident.
	mappedElse atomic.Int64
}

// OpenJob opens the job in dir for reading. The caller closes it. Errors are of
// type *JobError.
func OpenJob(dir string) (*Job, error) {
	if err := findJob(dir); err != nil {
		return nil, &JobError{"open", dir, err}
	}
	return openDatabase("open", dir, true)
}

// findJob fails if dir has no job.
func findJob(dir string) error {
	info, err := os.Stat(filepath.Join(dir, databaseName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrNotJob
	case err != nil || info.Size() > 0:
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, pidName)); err == nil { // somebody has had it open
		return fmt.Errorf("%w: the file is empty", ErrCorrupt)
	}
	return ErrNotJob // killed before the first write
}

// createJob opens the job in dir for writing, and makes it first if there is
// none.
func createJob(dir string) (*Job, error) {
	if err := prepareDir(dir); err != nil {
		return nil, &JobError{"create", dir, err}
	}
	if err := findJob(dir); err != nil && !errors.Is(err, ErrNotJob) {
		return nil, &JobError{"open", dir, err}
	}
	if err := makeBolt(filepath.Join(dir, databaseName)); err != nil {
		return nil, &JobError{"create", dir, err}
	}
	j, err := openDatabase("open", dir, false)
	if err != nil {
		return nil, err
	}
	if err := writePID(dir); err != nil {
		return nil, &JobError{"open", dir, errors.Join(err, j.Close())}
	}
	return j, nil
}

// writePID tells others who has the job open for writing.
func writePID(dir string) error {
	pid := []byte(strconv.Itoa(os.Getpid()) + "\n")
	return os.WriteFile(filepath.Join(dir, pidName), pid, 0o644)
}

// prepareDir makes dir, and refuses one that holds something else than a job.
func prepareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == databaseName {
			return nil
		}
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), databaseName+newSuffix) { // its maker was killed
			return fmt.Errorf("%w: it holds other files, such as %s", ErrNotJob, e.Name())
		}
	}
	return nil
}

func openDatabase(op, dir string, readOnly bool) (_ *Job, err error) {
	path := filepath.Join(dir, databaseName)
	j := &Job{dir: dir, memory: DefaultMemory}
	err = guard(func() error {
		if j.db, err = openBolt(path, readOnly); err != nil {
			return err
		}
		j.page = j.db.Info().PageSize
		return j.openRooms(readOnly)
	})
	if err == nil {
		return j, nil
	}
	if j.db != nil {
		err = errors.Join(err, j.db.Close())
	}
	return nil, &JobError{op, dir, explainOpen(err, dir)}
}

// openRooms checks the layout and opens what lives in the database.
func (j *Job) openRooms(readOnly bool) error {
	if err := j.checkSize(); err != nil {
		return err
	}
	err := j.db.View(checkFormat)
	if err != nil && (readOnly || !errors.Is(err, ErrNotJob)) {
		return err
	}
	if j.backend, err = boltfrontier.Open(j.db, boltfrontier.Config{ReadOnly: readOnly}); err != nil {
		return err
	}
	if j.store, err = boltstore.Open(j.db, boltstore.Config{}); err != nil || readOnly {
		return err
	}
	// Last, so that a database with a format has all that belongs in it, even if
	// its maker was killed.
	return j.db.Update(initBuckets)
}

// checkSize notes which file the job is in, and refuses one that was cut.
func (j *Job) checkSize() (err error) {
	if j.file, err = os.Stat(j.db.Path()); err != nil {
		return err
	}
	return checkSize(j.db, j.file)
}

// inPlace returns an error if the database's file is not in its directory any
// more: writing it goes on without complaint, and for nothing.
func (j *Job) inPlace() error {
	info, err := os.Stat(j.db.Path())
	if err == nil && !os.SameFile(info, j.file) {
		err = fmt.Errorf("another file has taken the place of %s", databaseName)
	}
	return j.wrap("write to", err)
}

func initBuckets(tx *bbolt.Tx) error {
	b, err := tx.CreateBucketIfNotExists(bucketJob)
	if err != nil {
		return err
	}
	for _, name := range [][]byte{bucketRoots, bucketRobots, bucketRounds, bucketSilent, bucketLogins, bucketNovelty} {
		if _, err := b.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	if b.Get(keyFormat) == nil {
		return b.Put(keyFormat, []byte(strconv.Itoa(jobFormat)))
	}
	return nil
}

func checkFormat(tx *bbolt.Tx) error {
	b := tx.Bucket(bucketJob)
	if b == nil {
		return ErrNotJob
	}
	found, err := strconv.Atoi(string(b.Get(keyFormat)))
	if err != nil {
		return fmt.Errorf("%w: no format version", ErrCorrupt)
	}
	if found != jobFormat {
		return fmt.Errorf("%w: its format is %d, this one reads %d", ErrFormat, found, jobFormat)
	}
	return nil
}

// explainOpen maps what bbolt and the packages that live in the database say to
// this package's errors.
func explainOpen(err error, dir string) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return &LockedError{PID: readPID(dir)}
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	case errors.Is(err, frontier.ErrFormat), errors.Is(err, storage.ErrFormat):
		return fmt.Errorf("%w: %w", ErrFormat, err)
	default:
		return asCorrupt(err)
	}
}

// asCorrupt makes an ErrCorrupt of what the packages that live in the database say
// of damage.
func asCorrupt(err error) error {
	damaged := errors.Is(err, storage.ErrCorrupt) || errors.As(err, new(*boltfrontier.CorruptError))
	if damaged && !errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

// guard runs f and turns a panic or a memory fault in it, which is how bbolt
// meets a damaged page, into ErrCorrupt.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrCorrupt, p)
		}
	}()
	return f()
}

// readPID is the process that wrote the job last, 0 if it has ended.
func readPID(dir string) int {
	text, err := os.ReadFile(filepath.Join(dir, pidName))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || !running(pid) { // who reads the job writes no such file
		return 0
	}
	return pid
}

// Dir returns the job's directory.
func (j *Job) Dir() string { return j.dir }

// Store returns the job's results, which Close closes.
func (j *Job) Store() storage.Store { return j.store }

// Settings returns what Config.Settings was when the job last ran, or nil.
func (j *Job) Settings() (settings []byte, err error) {
	err = j.view(func(b *bbolt.Bucket) error {
		settings = append(settings, b.Get(keySettings)...)
		return nil
	})
	return settings, err
}

// Stats returns the job's counters as of its last commit.
func (j *Job) Stats() (Stats, error) {
	n, err := j.counters()
	if err != nil {
		return Stats{}, err
	}
	s := n.stats()
	q, err := j.backend.Stats(context.Background())
	if err != nil {
		return Stats{}, j.wrap("read", err)
	}
	s.setQueue(q)
	// It claims nothing: no host is due before the zero time.
	_, due, err := j.backend.Claim(context.Background(), time.Time{}, time.Time{}, 1)
	if err != nil {
		return Stats{}, j.wrap("read", err)
	}
	if s.Waiting > 0 && due != frontier.Never {
		s.Due = due
	}
	s.Disk = j.disk()
	rounds, err := j.Rounds()
	if err != nil {
		return s, err
	}
	s.Round = len(rounds)
	s.Paused, err = j.pausedSince()
	return s, err
}

// Check proves the job's invariants: those of the database's pages, of the
// frontier and of the store, that they agree, and that each archive that a crawl
// with Config.WARC wrote is whole, as far as they are there still. The errors are
// joined. It reads all of it.
func (j *Job) Check(ctx context.Context) error {
	var errs []error
	add := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if err := j.db.View(checkTree); err != nil {
		add(err) // what is kept in these pages cannot be asked
	} else {
		add(guard(func() error { return j.db.View(checkPages) }))
		add(guard(func() error { return j.backend.Check(ctx) }))
		add(guard(func() error { return j.store.Check(ctx) }))
		add(guard(func() error { return j.checkCounters(ctx) }))
	}
	add(guard(func() error { return j.checkArchives(ctx) }))
	if len(errs) == 0 {
		return nil
	}
	return &JobError{"check", j.dir, errors.Join(errs...)}
}

// maxPageErrors ends the list of damaged pages: a cut file has millions.
const maxPageErrors = 20

func checkPages(tx *bbolt.Tx) error {
	var errs []error
	for err := range tx.Check() {
		if len(errs) < maxPageErrors {
			errs = append(errs, fmt.Errorf("%w: %w", ErrCorrupt, err))
		}
	}
	return errors.Join(errs...)
}

// checkCounters compares what was counted with what is stored.
func (j *Job) checkCounters(ctx context.Context) error {
	n, err := j.counters()
	if err != nil {
		return err
	}
	s, err := j.store.Stats(ctx)
	if err != nil {
		return err
	}
	if n.Fetched+n.Failed != s.Records || n.Fetched != s.Responses || n.Items != s.Items {
		return fmt.Errorf("counters say %d fetched, %d failed, %d items; stored are %d results, %d with a response, %d items",
			n.Fetched, n.Failed, n.Items, s.Records, s.Responses, s.Items)
	}
	return nil
}

// Archives is the directory of the web archives that crawls with Config.WARC wrote,
// the last of them; "": none did.
func (j *Job) Archives() (dir string, err error) {
	r, err := j.keptRules()
	if err != nil || r.Archives == "" {
		return "", err
	}
	return filepath.Join(j.dir, r.Archives), nil
}

func (j *Job) checkArchives(ctx context.Context) error {
	dir, err := j.Archives()
	if err != nil || dir == "" {
		return err
	}
	err = warc.Check(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // whoever took them away will know where they are
	}
	return err
}

// Close lets go of the job.
func (j *Job) Close() error {
	return errors.Join(j.store.Close(), j.db.Close())
}

func (j *Job) counters() (n counters, err error) {
	err = j.view(func(b *bbolt.Bucket) error {
		text := b.Get(keyCounters)
		if text == nil {
			return nil
		}
		if err := json.Unmarshal(text, &n); err != nil {
			return fmt.Errorf("%w: counters: %w", ErrCorrupt, err)
		}
		return nil
	})
	return n, err
}

// roots calls each with host and directory of every seed.
func (j *Job) roots(each func(root string)) error {
	return j.view(func(b *bbolt.Bucket) error {
		return b.Bucket(bucketRoots).ForEach(func(k, _ []byte) error {
			each(string(k))
			return nil
		})
	})
}

func (j *Job) view(f func(*bbolt.Bucket) error) error {
	err := guard(func() error {
		return j.db.View(func(tx *bbolt.Tx) error { return f(tx.Bucket(bucketJob)) })
	})
	return j.wrap("read", err)
}

func (j *Job) update(op string, f func(*bbolt.Bucket) error) error {
	err := guard(func() error {
		return j.db.Update(func(tx *bbolt.Tx) error { return f(tx.Bucket(bucketJob)) })
	})
	return j.wrap(op, err)
}

// lastTx is the number of the last transaction that the database has.
func (j *Job) lastTx() (id int) {
	_ = j.db.View(func(tx *bbolt.Tx) error { id = tx.ID(); return nil })
	return id
}

func (j *Job) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &JobError{op, j.dir, asCorrupt(err)}
}

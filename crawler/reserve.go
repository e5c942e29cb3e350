package crawler

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// DefaultDiskReserve is what Config.DiskReserve is when it is zero, unless a
	// twentieth of the disk is less.
	DefaultDiskReserve = 1 << 30

	reserveShare = 20

	// diskEvery is how often the free space is looked at while a crawl runs.
	diskEvery = time.Second

	// commitRoom is what a commit may need besides twice the pages in it: the
	// queues and sets that it changes are written anew.
	commitRoom = 16 << 20
)

// brokenTries is how often, once every diskEvery, an archive is written again that
// an error of its device (EIO) has stopped.
const brokenTries = 60

// Disk tells of a job's files and the disk that they are on, in bytes. When the
// archives are on another one, Free and Reserve are those of the disk that has less
// to spare.
type Disk struct {
	Size    int64 `json:"size"`             // of all the job's files
	Unused  int64 `json:"unused,omitempty"` // about what Compact gives back of Size
	Free    int64 `json:"free"`             // what may still be written to the disk; -1: unknown
	Reserve int64 `json:"reserve"`          // what the crawl leaves free; 0: it leaves nothing, or none is open
	Low     bool  `json:"low,omitempty"`    // less than Reserve is free, or something could not be written: the crawl waits
}

// reserve watches the free space of the disks that a job is on, which is to stay
// above a limit. Its methods may be called at once.
type reserve struct {
	volumes []volume // the job's first; none: nothing is looked at, and nothing waits
	space   func(dir string) (bytes int64, known bool)
	tell    func(low bool, v volume, why error) // of each change; must not look

	looking sync.Mutex

	mu      sync.Mutex
	low     bool
	refused [writerKinds]error // why the last write failed that is to be tried again, whatever space says
	over    <-chan struct{}    // ends the patience of writes; nil: they have none
}

// volume is a directory, on whose disk limit bytes are to stay free, and what was
// free there when it was last looked at; -1: unknown.
type volume struct {
	dir         string
	limit, free int64
}

// writer is a kind of writing to the disk.
type writer int

const (
	byCommits writer = iota
	byArchives
	writerKinds
)

// newReserve returns the reserve that the setting asks for: bytes, 0 for the
// default, less for none.
func newReserve(setting int64, space func(string) (int64, bool), dirs ...string) *reserve {
	r := &reserve{space: space}
	if r.space == nil {
		r.space = freeSpace
	}
	if setting < 0 {
		return r
	}
	for _, dir := range dirs {
		v := volume{dir: dir, limit: setting}
		if setting == 0 {
			v.limit = DefaultDiskReserve
			if total, known := diskSize(dir); known {
				v.limit = min(v.limit, total/reserveShare)
			}
		}
		r.volumes = append(r.volumes, v)
	}
	return r
}

// during lets writes wait for room until over is closed; nil: no more.
func (r *reserve) during(over <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = over
}

// look asks for the free space and returns the least disk. It tells when that has become low or is not low any more, for which an eighth more
// than the reserve is wanted.
func (r *reserve) look() volume {
	if len(r.volumes) == 0 {
		return volume{free: -1}
	}
	r.looking.Lock() // so that changes are told in their order
	defer r.looking.Unlock()
	least := r.least()
	if low, changed, why := r.judge(least); changed {
		r.tell(low, least, why)
	}
	return least
}

// least is the disk that has the least to spare.
func (r *reserve) least() (least volume) {
	for i, v := range r.volumes {
		v.free = free(v.dir, r.space)
		if i == 0 || v.free >= 0 && (least.free < 0 || v.free-v.limit < least.free-least.limit) {
			least = v
		}
	}
	return least
}

// judge says whether v has too little, whether that is new, and which failed write
// says so; nil: none does.
func (r *reserve) judge(v volume) (low, changed bool, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	enough := v.limit
	if r.low {
		enough += v.limit / 8
	}
	for _, err := range r.refused {
		if why == nil {
			why = err
		}
	}
	low = why != nil || v.free >= 0 && v.free < enough
	changed, r.low = low != r.low, low
	return low, changed, why
}

// await waits until a commit of so many bytes has room, or nobody has the
// patience any more. Below the reserve it still lets commits through: what is
// under way when the crawl pauses is what the reserve is for.
func (r *reserve) await(bytes int64) {
	for {
		v := r.look()
		if v.free < 0 || v.free >= min(2*bytes+commitRoom, v.limit) || !r.rest() {
			return
		}
	}
}

// rest lets a moment pass and reports whether another one may help.
func (r *reserve) rest() bool {
	r.mu.Lock()
	over := r.over
	r.mu.Unlock()
	if over == nil {
		return false
	}
	t := time.NewTimer(diskEvery)
	defer t.Stop()
	select {
	case <-over:
		return false
	case <-t.C:
		return true
	}
}

// commitAgain takes note of how a commit ended and says, after a moment, whether
// it is to be tried again: it found no room, and room may come.
func (r *reserve) commitAgain(err error) bool {
	return r.again(byCommits, err, err != nil && diskFull(err))
}

// archiveAgain is commitAgain for a write to the archives that was tried so many
// times. An error of the device may pass as well, but not for ever.
func (r *reserve) archiveAgain(err error, tries int) bool {
	return r.again(byArchives, err, err != nil && (diskFull(err) || errors.Is(err, syscall.EIO) && tries < brokenTries))
}

func (r *reserve) again(by writer, err error, passes bool) bool {
	if len(r.volumes) == 0 {
		return false
	}
	if !passes {
		err = nil
	}
	r.mu.Lock()
	changed := (r.refused[by] == nil) != (err == nil)
	r.refused[by] = err
	r.mu.Unlock()
	if changed {
		r.look()
	}
	return passes && r.rest()
}

// waits reports whether a write that failed with err is one to wait with.
func (r *reserve) waits(err error) bool { return len(r.volumes) > 0 && diskFull(err) }

func (r *reserve) isLow() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.low
}

// diskFull says whether err means that a disk or quota is full. It looks at the
// text as well, as bbolt does not wrap all errors of the file system.
func diskFull(err error) bool {
	for _, full := range fullErrors {
		if errors.Is(err, full) || strings.Contains(err.Error(), full.Error()) {
			return true
		}
	}
	return false
}

// usage remembers a job's size for a while, as it takes a walk to learn.
type usage struct {
	mu   sync.Mutex
	at   time.Time
	size int64
}

// usageAge is how long a size is remembered.
const usageAge = 2 * time.Second

func (u *usage) of(dir string, now time.Time) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at.IsZero() || now.Sub(u.at) >= usageAge {
		u.size, u.at = filesSize(dir), now
	}
	return u.size
}

// forget makes the next call of of look again.
func (u *usage) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.at = time.Time{}
}

// filesSize adds up the files below dir. One that goes away meanwhile counts as
// nothing.
func filesSize(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}

// unused is how many bytes of the database are free pages. It is known of a job
// that is open for writing.
func (j *Job) unused() int64 {
	s := j.db.Stats()
	return int64(s.FreePageN+s.PendingPageN) * int64(j.page)
}

// free is what may be written to the disk of dir, or -1.
func free(dir string, space func(string) (int64, bool)) int64 {
	if bytes, known := space(dir); known {
		return bytes
	}
	return -1
}

// disk is what Stats tells of the job's disk.
func (c *Crawler) disk() Disk {
	d := Disk{Size: c.usage.of(c.job.dir, time.Now()), Unused: c.job.unused(), Low: c.reserve.isLow()}
	if least := c.reserve.least(); len(c.reserve.volumes) > 0 {
		d.Free, d.Reserve = least.free, least.limit
	} else {
		d.Free = free(c.job.dir, c.reserve.space)
	}
	return d
}

// openReserve watches the disks of the job and of its archives.
func (c *Crawler) openReserve() {
	dirs := []string{c.job.dir}
	if c.archives != nil {
		dirs = append(dirs, filepath.Join(c.job.dir, c.cfg.WARC.dir()))
	}
	c.reserve = newReserve(c.cfg.DiskReserve, c.cfg.FreeSpace, dirs...)
	c.reserve.tell = c.tellRoom
	if c.archives != nil {
		c.archives.room = c.reserve
	}
}

// tellRoom pauses and resumes the crawl as the disk fills and empties.
func (c *Crawler) tellRoom(low bool, v volume, why error) {
	switch {
	case low && c.gate.pause(PauseDisk):
		c.cfg.Logger.Warn("the crawl waits for room on its disk", "dir", v.dir, "free", v.free, "reserve", v.limit, "error", why)
		c.events.Paused(PausedEvent{Cause: PauseDisk, Dir: v.dir, Free: v.free, Reserve: v.limit, Err: why})
	case !low && c.gate.resume(PauseDisk):
		c.events.Resumed(ResumedEvent{Cause: PauseDisk})
	}
}

// disk is Crawler.disk for a job at rest. What the last run said of unused pages
// holds as long as nobody changed the size.
func (j *Job) disk() Disk {
	d := Disk{Size: filesSize(j.dir), Free: free(j.dir, freeSpace)}
	if said, err := ReadStatus(j.dir); err == nil && said.Database == j.file.Size() {
		d.Unused = said.Stats.Disk.Unused
	}
	return d
}

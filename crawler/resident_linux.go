package crawler

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// trim lets go of pages of the database that are mapped into this process when
// the process has more than limit bytes in memory, but leaves it leastMapped.
//
// bbolt reads through a mapping of the whole file, and what was read once stays
// resident until the system runs short: a long crawl would seem to need as much
// memory as its database is large, and be killed where memory is limited by
// resident size. The pages are the page cache's as well, so to let go of them
// loses nothing; who reads one again finds it there, for the price of a page
// fault, which brings its neighbours along. It is safe while others read and
// write, as the mapping is shared with the file, is never written to, and keeps
// its address while a transaction is open: there is one here.
//
// It goes through the mapping part by part, a bit further each time, until there is a
// little room: of what is read again and again most stays in place. When it has gone
// all the way for nothing, what is still resident is of other files, and what the database
// is left comes on top of it from then on: otherwise all of that would go each time.
func (j *Job) trim(limit int64) error {
	all, files, err := residentMemory()
	if err != nil {
		return err
	}
	most := max(limit-(all-files), j.mappedElse.Load()+leastMapped)
	if files <= most {
		return nil
	}
	return j.db.View(func(tx *bbolt.Tx) error {
		start, size, page := j.db.Info().Data, uintptr(tx.Size()), uintptr(j.page)
		part := (size/trimParts + page) / page * page
		for range trimParts {
			from := uintptr(j.trimmed.Add(1)%trimParts) * part
			if from >= size {
				continue
			}
			if _, _, errno := unix.Syscall(unix.SYS_MADVISE, start+from, min(part, size-from), unix.MADV_DONTNEED); errno != 0 {
				return fmt.Errorf("madvise: %w", errno)
			}
			if _, files, err = residentMemory(); err != nil || files <= most/trimShare*(trimShare-1) {
				return err
			}
		}
		j.mappedElse.Store(files)
		return nil
	})
}

const (
	leastMapped = 32 << 20
	trimParts   = 64 // of a mapping
	trimShare   = 16 // one of so many is to be free
)

// residentMemory is how many bytes this process has in memory, and how many of
// them are of mapped files, its program included.
func residentMemory() (all, files int64, err error) {
	// This is asked for many times a second, and package os would try to poll it.
	fd, err := unix.Open("/proc/self/statm", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(fd)
	var text [256]byte // seven numbers
	n, err := unix.Read(fd, text[:])
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(string(text[:n]))
	if len(fields) < 3 {
		return 0, 0, fmt.Errorf("/proc/self/statm has %d fields", len(fields))
	}
	if all, err = strconv.ParseInt(fields[1], 10, 64); err != nil {
		return 0, 0, err
	}
	files, err = strconv.ParseInt(fields[2], 10, 64)
	page := int64(os.Getpagesize())
	return all * page, files * page, err
}

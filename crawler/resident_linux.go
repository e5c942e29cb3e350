package crawler

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// trim lets go of the pages of the database that are mapped into this process
// when all mapped files together have more than limit bytes of them in memory.
//
// bbolt reads through a mapping of the whole file, and what was read once stays
// resident until the system runs short: a long crawl would seem to need as much
// memory as its database is large, and be killed where memory is limited by
// resident size. The pages are the page cache's as well, so to let go of them
// loses nothing; who reads one again finds it there, for the price of a page
// fault. It is safe while others read and write, as the mapping is shared with
// the file, is never written to, and keeps its address while a transaction is
// open: there is one here, so the range cannot have become anything else's.
//
// It goes through the mapping part by part, a bit further each time, until a quarter of
// the limit is free: of what is read again and again most stays in place.
func (j *Job) trim(limit int64) error {
	resident, err := residentFiles()
	if err != nil || resident <= limit {
		return err
	}
	return j.db.View(func(*bbolt.Tx) error {
		return eachMapping(j.db.Path(), j.file, func(start, size uintptr) error {
			page := uintptr(os.Getpagesize())
			part := (size/trimParts + page) / page * page
			for range trimParts {
				from := uintptr(j.trimmed.Add(1)%trimParts) * part
				if from >= size {
					continue
				}
				if _, _, errno := unix.Syscall(unix.SYS_MADVISE, start+from, min(part, size-from), unix.MADV_DONTNEED); errno != 0 {
					return fmt.Errorf("madvise: %w", errno)
				}
				if resident, err := residentFiles(); err != nil || resident <= limit/4*3 {
					return err
				}
			}
			return nil
		})
	})
}

// trimParts is how many parts trim has of a mapping.
const trimParts = 64

// residentFiles is how many bytes of mapped files this process has in memory,
// its program included.
func residentFiles() (int64, error) {
	// This is asked for many times a second, and package os would try to poll it.
	fd, err := unix.Open("/proc/self/statm", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	var text [256]byte // seven numbers
	n, err := unix.Read(fd, text[:])
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[:n]))
	if len(fields) < 3 {
		return 0, fmt.Errorf("/proc/self/statm has %d fields", len(fields))
	}
	pages, err := strconv.ParseInt(fields[2], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// eachMapping calls fn for every shared mapping of a file that can only be read. Some
// file systems name another inode there than elsewhere, and a file has no path
// any more when it is removed: either tells.
func eachMapping(path string, file os.FileInfo, fn func(start, size uintptr) error) error {
	stat, ok := file.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	inode := strconv.FormatUint(stat.Ino, 10)
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		fields := bytes.Fields(lines.Bytes()) // start-end rights offset device inode path
		if len(fields) < 6 || string(fields[1]) != "r--s" ||
			string(fields[4]) != inode && !bytes.HasSuffix(lines.Bytes(), []byte(" "+path)) {
			continue
		}
		from, to, _ := strings.Cut(string(fields[0]), "-")
		start, err := strconv.ParseUint(from, 16, 64)
		if err != nil {
			return err
		}
		end, err := strconv.ParseUint(to, 16, 64)
		if err != nil {
			return err
		}
		if err := fn(uintptr(start), uintptr(end-start)); err != nil {
			return err
		}
	}
	return nil
}

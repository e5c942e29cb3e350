//go:build linux || darwin || freebsd

package crawler

import (
	"os"
	"syscall"
)

// freeSpace is how many bytes this process may still write to the disk of dir.
func freeSpace(dir string) (bytes int64, known bool) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true //nolint:unconvert // other types on other systems
}

// diskSize is how many bytes the disk of dir has.
func diskSize(dir string) (bytes int64, known bool) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(st.Blocks) * int64(st.Bsize), true //nolint:unconvert // other types on other systems
}

// fullErrors are what the system says when there is no room.
var fullErrors = []error{syscall.ENOSPC, syscall.EDQUOT}

// keepOwner gives file the owner of an older one: root that compacts a user's job
// must not take it away.
func keepOwner(file *os.File, old os.FileInfo) error {
	was, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if is, ok := info.Sys().(*syscall.Stat_t); ok && (is.Uid != was.Uid || is.Gid != was.Gid) {
		return file.Chown(int(was.Uid), int(was.Gid))
	}
	return nil
}

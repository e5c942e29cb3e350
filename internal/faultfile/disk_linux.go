package faultfile

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Kind is what a system call does to the file.
type Kind int

// The kinds of calls.
const (
	Write Kind = iota
	Truncate
	Sync
)

func (k Kind) String() string { return [...]string{"write", "truncate", "sync"}[k] }

// Op is a call on the file.
type Op struct {
	Name   string // of the file
	Kind   Kind
	Offset int64 // of a Write; the new length for Truncate
	Length int   // of a Write
}

func (o Op) String() string {
	switch o.Kind {
	case Write:
		return fmt.Sprintf("write of %d bytes at %d", o.Length, o.Offset)
	case Truncate:
		return fmt.Sprintf("truncation to %d bytes", o.Offset)
	default:
		return "sync"
	}
}

const sectorSize = 512

// openSuffix ends the name of a file that is not complete, which it loses then.
const openSuffix = ".open"

// Disk knows what of some files is durable. It serves one process at a time and is not for use by several goroutines. Names
// are durable at once: a file keeps its state when it is renamed.
type Disk struct {
	path  string // of a file, or of a directory
	files map[uint64]*file
}

// file is what is known of a file, which is called by its inode.
type file struct {
	path   string  // by which it was last seen
	synced []byte  // content that is durable
	recent []write // on top of it, oldest first
	open   *Op     // let through and not yet noted: it ends before the next on this file begins
}

// write is what one call did. Its data is what the file had there afterwards.
type write struct {
	op     Op
	data   []byte
	synced bool // and kept, as one before it is
	doomed bool // a sync after it failed: no later one makes it durable
}

// OpenDisk watches the file at path and those whose names begin with its name, or, if path is a directory, all files in and below it.
// What they have when the first call on them comes counts as durable.
func OpenDisk(path string) (*Disk, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return &Disk{path: filepath.Join(dir, filepath.Base(path)), files: make(map[uint64]*file)}, nil
}

// has reports whether the file called name is watched.
func (d *Disk) has(name string) bool {
	if info, err := os.Stat(d.path); err == nil && info.IsDir() {
		return strings.HasPrefix(name, d.path+"/")
	}
	return strings.HasPrefix(name, d.path)
}

// reach finds the file that the process has as fd, and brings what is known of it to the present: a call on it begins.
func (d *Disk) reach(fd, name string) (*file, error) {
	info, err := os.Stat(fd)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return &file{}, nil // a directory that is synced
	}
	inode := info.Sys().(*syscall.Stat_t).Ino
	f := d.files[inode]
	if f == nil || f.path != name && f.path != name+openSuffix {
		content, err := os.ReadFile(fd)
		if err != nil {
			return nil, err
		}
		f = &file{synced: content}
		d.files[inode] = f
	}
	f.path = name
	return f, f.finish(fd)
}

// settle brings all files to the present: the process is dead.
func (d *Disk) settle() error {
	return d.each(func(path string, f *file) error { return f.finish(path) })
}

// each calls do with the files that are there still, by their present names.
func (d *Disk) each(do func(path string, f *file) error) error {
	top := d.path
	if info, err := os.Stat(top); err != nil || !info.IsDir() {
		top = filepath.Dir(top)
	}
	return filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !d.has(path) {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if f := d.files[info.Sys().(*syscall.Stat_t).Ino]; f != nil {
			return do(path, f)
		}
		return nil
	})
}

// finish notes what the call let through last has done. The process makes one at a time on a file, so it is over when the next begins,
// or the process is dead.
func (f *file) finish(path string) error {
	if f.open == nil {
		return nil
	}
	op := *f.open
	f.open = nil
	switch op.Kind {
	case Sync:
		f.sync()
	case Truncate:
		f.recent = append(f.recent, write{op: op})
	case Write:
		data := make([]byte, op.Length)
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		n, err := in.ReadAt(data, op.Offset)
		if err != nil && err != io.EOF {
			return err
		}
		f.recent = append(f.recent, write{op: op, data: data[:n]})
	}
	return nil
}

// sync makes durable what is not doomed.
func (f *file) sync() {
	n := 0
	for n < len(f.recent) && !f.recent[n].doomed {
		f.synced = f.recent[n].apply(f.synced, nil)
		n++
	}
	f.recent = f.recent[n:]
	for i := range f.recent {
		f.recent[i].synced = !f.recent[i].doomed
	}
}

// failSync notes that a sync failed. The system may have dropped what it could not write, and tell nobody again.
func (f *file) failSync() {
	for i := range f.recent {
		f.recent[i].doomed = !f.recent[i].synced
	}
}

// apply does w to content, all of it or the sectors that keep tells; a nil keep keeps all.
func (w *write) apply(content []byte, keep func() bool) []byte {
	if w.op.Kind == Truncate {
		if keep != nil && !keep() {
			return content
		}
		return resize(content, int(w.op.Offset))
	}
	for at := 0; at < len(w.data); {
		// Sectors of the disk, not of the write.
		next := min(len(w.data), at+sectorSize-int(w.op.Offset+int64(at))%sectorSize)
		if keep == nil || keep() {
			end := int(w.op.Offset) + next
			if end > len(content) {
				content = resize(content, end)
			}
			copy(content[int(w.op.Offset)+at:], w.data[at:next])
		}
		at = next
	}
	return content
}

func resize(content []byte, n int) []byte {
	if n <= len(content) {
		return content[:n]
	}
	return append(content, make([]byte, n-len(content))...)
}

// LosePower replaces the files by a state that a power failure could have left. The process must be dead.
func (d *Disk) LosePower(random *rand.Rand) error {
	return d.each(func(path string, f *file) error { return f.losePower(path, random) })
}

func (f *file) losePower(path string, random *rand.Rand) error {
	content := append([]byte(nil), f.synced...)
	for i := range f.recent {
		w := &f.recent[i]
		fate := random.IntN(4)
		switch {
		case w.synced:
			content = w.apply(content, nil)
		case fate == 0: // lost
		case fate == 1: // torn
			content = w.apply(content, func() bool { return random.IntN(2) == 0 })
		default:
			content = w.apply(content, nil)
		}
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	f.synced, f.recent, f.open = content, nil, nil
	return nil
}

package warc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxUndurable is how many bytes an archive may have that are not durable. They are
// kept in memory as well.
const maxUndurable = 8 << 20

// part is the archive that is being written. What failed can be tried again: no
// method leaves it in a state that the next call does not mend.
type part struct {
	file  diskFile
	path  string // with openSuffix
	name  string // when it is complete
	index *sorter

	size    int64 // of the records in it
	durable int64 // the first bytes, which are
	// What follows those is kept, because after a sync that failed nobody knows which
	// bytes the system has dropped, and it tells nobody again.
	recent   []byte
	doubtful bool // recent has to be written again

	longer  bool // the file may have more bytes than size, which mean nothing
	renamed bool // it has its name
}

// diskFile is what a part needs of an *os.File.
type diskFile interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// append writes records at the end, or nothing.
func (p *part) append(records []byte, entries []Entry) error {
	if len(p.recent) > 0 && len(p.recent)+len(records) > maxUndurable {
		if err := p.sync(); err != nil {
			return err
		}
	}
	if _, err := p.file.WriteAt(records, p.size); err != nil {
		p.longer = true
		return errors.Join(err, p.trim())
	}
	start := p.size
	p.size += int64(len(records))
	p.recent = append(p.recent, records...)
	for i := range entries {
		entry := &entries[i]
		entry.Offset += start
		entry.Filename = p.name
		if p.index != nil && p.index.add(entry.Append(nil)) != nil {
			p.dropIndex()
		}
	}
	return nil
}

// trim gives back what a failed write has left, for others to have its room.
func (p *part) trim() error {
	if !p.longer {
		return nil
	}
	if err := p.file.Truncate(p.size); err != nil {
		return err
	}
	p.longer = false
	return nil
}

// sync makes durable what was appended.
func (p *part) sync() error {
	if p.durable == p.size {
		return nil
	}
	if p.doubtful {
		if _, err := p.file.WriteAt(p.recent, p.durable); err != nil {
			return err
		}
	}
	if err := p.file.Sync(); err != nil {
		p.doubtful = true
		return err
	}
	p.durable, p.doubtful = p.size, false
	p.recent = p.recent[:0]
	if cap(p.recent) > 2*maxUndurable {
		p.recent = nil
	}
	return nil
}

// dropIndex forgets the lines of the index: complete reads them out of the archive.
func (p *part) dropIndex() {
	if p.index != nil {
		_ = p.index.close() // what is left is removed by the next mend
		p.index = nil
	}
}

// complete makes the archive durable, writes its index, gives it its name and
// closes it. In this order a crash leaves an open archive, which is mended.
func (p *part) complete() error {
	if err := errors.Join(p.trim(), p.sync()); err != nil {
		return err
	}
	if !p.renamed {
		if err := p.writeIndex(); err != nil {
			return err
		}
		if err := rename(p.path); err != nil {
			return err
		}
		p.renamed = true
	}
	if err := syncDir(filepath.Dir(p.path)); err != nil {
		return err
	}
	p.dropIndex()
	_ = p.file.Close() // all of it is durable
	return nil
}

func (p *part) writeIndex() error {
	var err error
	if p.index == nil {
		p.index, _, err = indexOf(p.path, nil)
	}
	if err == nil {
		err = writeIndex(indexName(p.path), p.index)
	}
	if err != nil {
		p.dropIndex()
	}
	return err
}

// abandon closes the archive and leaves it open, in the sense of its name.
func (p *part) abandon() error {
	p.dropIndex()
	return p.file.Close()
}

// rename takes the suffix off the name of an open archive whose index is written.
func rename(path string) error {
	// The index comes first, should the power fail.
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return os.Rename(path, strings.TrimSuffix(path, openSuffix))
}

// indexOf reads the lines of an archive's index out of it, as far as its records are
// whole, and returns the size of those. A v that is not nil looks at them. The caller
// closes the lines.
func indexOf(path string, v *verifier) (lines *sorter, size int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	name := strings.TrimSuffix(filepath.Base(path), openSuffix)
	lines = newSorter(filepath.Dir(path), name)
	var line []byte
	size, _, err = walk(file, name, v, func(e *Entry) error {
		line = e.Append(line[:0])
		return lines.add(line)
	})
	if err != nil {
		return nil, 0, errors.Join(err, lines.close())
	}
	return lines, size, nil
}

// writeIndex writes a sorted index, which appears when it is whole.
func writeIndex(path string, lines *sorter) error {
	file, err := os.Create(path + openSuffix)
	if err != nil {
		return err
	}
	err = lines.writeTo(file)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(path+openSuffix, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path+openSuffix)) // others need the room
	}
	return nil
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// makeDir makes dir and those above it that there are not yet, durably.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := makeDir(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(above)
}

// mendFile cuts off what follows the last whole record of an archive that was left
// open, and completes it; one without a whole record is removed.
func mendFile(path string) (err error) {
	lines, size, err := indexOf(path, newTearFinder(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lines.close()) }()
	if size == 0 {
		return os.Remove(path)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err = errors.Join(file.Truncate(size), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := writeIndex(indexName(path), lines); err != nil {
		return err
	}
	if err := rename(path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// mendIndex writes the index of a complete archive that lost it.
func mendIndex(path string) (err error) {
	if _, err := os.Lstat(indexName(path)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	lines, _, err := indexOf(path, nil)
	if err != nil {
		return err
	}
	return errors.Join(writeIndex(indexName(path), lines), lines.close(), syncDir(filepath.Dir(path)))
}

// mendError tells which file could not be mended.
func mendError(name string, err error) error { return fmt.Errorf("warc: mend %s: %w", name, err) }

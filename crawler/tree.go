package crawler

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"go.etcd.io/bbolt"
)

// The layout of bbolt's file, version 2.
const (
	pageHeader  = 16 // id, flags, count and overflow
	element     = 16 // of a branch or a leaf; a bucket's head has the same size
	branchFlag  = 0x01
	leafFlag    = 0x02
	freelist    = 0x10
	bucketFlag  = 0x01 // of a leaf's element
	manyFree    = math.MaxUint16
	noFreelist  = math.MaxUint64
	deepestTree = 64 // far deeper than any job's, buckets in buckets included
)

// checkTree proves that the pages of tx's database can be followed. bbolt believes
// what a page says of itself: a damaged one leads it out of the file, which its own
// check does not survive, or in circles. The errors are joined.
func checkTree(tx *bbolt.Tx) (err error) {
	file, err := os.Open(tx.DB().Path())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	size := tx.DB().Info().PageSize
	t := &treeCheck{file: file, size: size, pages: uint64(tx.Size()) / uint64(size)}
	t.seen = make([]uint64, t.pages/64+1)
	root, free, err := t.meta(uint64(tx.ID()))
	if err != nil {
		return err
	}
	t.freelist(free)
	t.tree(root, 0)
	return errors.Join(t.errs...)
}

// treeCheck is one walk of checkTree.
type treeCheck struct {
	file  io.ReaderAt
	size  int    // of a page
	pages uint64 // that count; the file may have more
	seen  []uint64
	errs  []error
}

func (t *treeCheck) damaged(page uint64, format string, args ...any) {
	if len(t.errs) < maxPageErrors {
		t.errs = append(t.errs, fmt.Errorf("%w: page %d %s", ErrCorrupt, page, fmt.Sprintf(format, args...)))
	}
}

// meta returns where transaction tx has its root and its list of free pages.
func (t *treeCheck) meta(tx uint64) (root, free uint64, err error) {
	for page := range 2 {
		var m [pageHeader + 56]byte // magic, version, page size, flags, root, sequence, free list, pages, transaction
		if _, err := t.file.ReadAt(m[:], int64(page)*int64(t.size)); err != nil {
			return 0, 0, err
		}
		if number(m[pageHeader+48:]) == tx {
			return number(m[pageHeader+16:]), number(m[pageHeader+32:]), nil
		}
	}
	return 0, 0, fmt.Errorf("%w: no page tells of transaction %d", ErrCorrupt, tx)
}

// open reads the beginning of a page, at least its header, and takes note of the
// page. It returns nil if the page is damaged.
func (t *treeCheck) open(id uint64) (p *treePage) {
	if id < 2 || id >= t.pages {
		t.damaged(id, "is out of bounds")
		return nil
	}
	p = &treePage{at: int64(id) * int64(t.size), head: make([]byte, t.size)}
	if !t.read(id, p.head, p.at) {
		return nil
	}
	more := uint64(binary.NativeEndian.Uint32(p.head[12:]))
	switch self := number(p.head); {
	case self != id:
		t.damaged(id, "says that it is page %d", self)
		return nil
	case id+more >= t.pages:
		t.damaged(id, "is longer than the file")
		return nil
	}
	for part := id; part <= id+more; part++ {
		if t.seen[part/64]&(1<<(part%64)) != 0 {
			t.damaged(part, "is referred to twice")
			return nil
		}
		t.seen[part/64] |= 1 << (part % 64)
	}
	p.flags = binary.NativeEndian.Uint16(p.head[8:])
	p.count = int(binary.NativeEndian.Uint16(p.head[10:]))
	p.size = (int64(more) + 1) * int64(t.size)
	return p
}

func (t *treeCheck) read(id uint64, b []byte, at int64) bool {
	if _, err := t.file.ReadAt(b, at); err != nil {
		t.damaged(id, "cannot be read: %v", err)
		return false
	}
	return true
}

// treePage is a page with what follows it.
type treePage struct {
	at    int64 // in the file
	size  int64
	flags uint16
	count int
	head  []byte // its beginning
}

// freelist looks at the list of free pages.
func (t *treeCheck) freelist(id uint64) {
	if id == noFreelist {
		return
	}
	p := t.open(id)
	if p == nil {
		return
	}
	count := uint64(p.count)
	if p.count == manyFree {
		count = number(p.head[pageHeader:]) + 1
	}
	if p.flags != freelist || count > uint64(p.size-pageHeader)/8 {
		t.damaged(id, "is no list of free pages")
	}
}

// tree looks at a page of keys and all that is below it.
func (t *treeCheck) tree(id uint64, depth int) {
	if depth > deepestTree {
		t.damaged(id, "is too deep in the tree")
		return
	}
	p := t.open(id)
	if p == nil {
		return
	}
	branch := p.flags == branchFlag
	end := int64(pageHeader + p.count*element)
	if !branch && p.flags != leafFlag || branch && p.count == 0 || end > p.size {
		t.damaged(id, "is no page of keys")
		return
	}
	if end > int64(len(p.head)) {
		p.head = make([]byte, end)
		if !t.read(id, p.head, p.at) {
			return
		}
	}
	for i := range p.count {
		at := int64(pageHeader + i*element)
		e := newTreeElement(p.head[at:], branch)
		if at+e.at+e.size() > p.size {
			t.damaged(id, "has a key beyond its end")
			return
		}
		switch {
		case branch:
			t.tree(e.child, depth+1)
		case e.bucket:
			t.bucket(id, p.at+at+e.at+e.key, e.value, depth)
		}
	}
}

// bucket looks at a bucket whose head is at a place of the file. A small one
// follows its head, as a leaf without buckets.
func (t *treeCheck) bucket(id uint64, at, size int64, depth int) {
	if size < element || size > element+int64(t.size) {
		t.damaged(id, "has a bucket of %d bytes", size)
		return
	}
	b := make([]byte, size)
	if !t.read(id, b, at) {
		return
	}
	if root := number(b); root != 0 {
		t.tree(root, depth+1)
		return
	}
	b = b[element:]
	if len(b) < pageHeader || binary.NativeEndian.Uint16(b[8:]) != leafFlag {
		t.damaged(id, "has a bucket that is none")
		return
	}
	count := int(binary.NativeEndian.Uint16(b[10:]))
	if pageHeader+count*element > len(b) {
		t.damaged(id, "has a bucket beyond its end")
		return
	}
	for i := range count {
		at := pageHeader + i*element
		e := newTreeElement(b[at:], false)
		if e.bucket || int64(at)+e.at+e.size() > int64(len(b)) {
			t.damaged(id, "has a key beyond the end of a bucket")
			return
		}
	}
}

// treeElement tells where a key is, seen from the element, and what belongs to it.
type treeElement struct {
	at, key, value int64
	child          uint64 // of a branch: the page
	bucket         bool   // of a leaf: the value is one
}

func newTreeElement(b []byte, branch bool) treeElement {
	field := func(i int) int64 { return int64(binary.NativeEndian.Uint32(b[4*i:])) }
	if branch {
		return treeElement{at: field(0), key: field(1), child: number(b[8:])}
	}
	return treeElement{at: field(1), key: field(2), value: field(3), bucket: field(0)&bucketFlag != 0}
}

func (e treeElement) size() int64 { return e.key + e.value }

func number(b []byte) uint64 { return binary.NativeEndian.Uint64(b) }

package warc

import (
	"bufio"
	"bytes"
	"container/heap"
	"errors"
	"io"
	"os"
	"slices"
)

const (
	// sortedBytes is how many bytes of lines are sorted in memory.
	sortedBytes = 8 << 20
	// mergedRuns is how many files of sorted lines are read at once.
	mergedRuns = 32
)

// sorter sorts lines, as many as the disk has room for. It is not for several
// goroutines at once.
type sorter struct {
	dir   string // for temporary files; "": the system's
	name  string // of the archive, for the names of those
	limit int    // of bytes in memory

	text  []byte
	lines [][2]int // where in text they are, with their line feeds
	runs  []string // names of files of sorted lines
}

func newSorter(dir, name string) *sorter {
	return &sorter{dir: dir, name: name, limit: sortedBytes}
}

// runPrefix begins the names of temporary files, which go on with that of the archive.
const runPrefix = ".cdxj-run-"

// add adds a line, which ends with a line feed.
func (s *sorter) add(line []byte) error {
	start := len(s.text)
	s.text = append(s.text, line...)
	s.lines = append(s.lines, [2]int{start, len(s.text)})
	if len(s.text)+16*len(s.lines) < s.limit {
		return nil
	}
	return s.spill()
}

// spill writes the lines in memory to a file, and the files to one if they are
// many.
func (s *sorter) spill() error {
	err := s.newRun(s.writeMemory)
	s.text, s.lines = s.text[:0], s.lines[:0]
	if err != nil || len(s.runs) < mergedRuns {
		return err
	}
	runs := s.runs
	s.runs = nil
	err = s.newRun(func(w *bufio.Writer) error { return merge(w, runs) })
	return errors.Join(err, removeAll(runs))
}

func (s *sorter) newRun(fill func(*bufio.Writer) error) (err error) {
	file, err := os.CreateTemp(s.dir, runPrefix+s.name+"-*")
	if err != nil {
		return err
	}
	s.runs = append(s.runs, file.Name())
	defer func() { err = errors.Join(err, file.Close()) }()
	w := bufio.NewWriterSize(file, 64<<10)
	if err := fill(w); err != nil {
		return err
	}
	return w.Flush()
}

func (s *sorter) writeMemory(w *bufio.Writer) error {
	slices.SortFunc(s.lines, func(a, b [2]int) int {
		return bytes.Compare(s.text[a[0]:a[1]], s.text[b[0]:b[1]])
	})
	for _, line := range s.lines {
		if _, err := w.Write(s.text[line[0]:line[1]]); err != nil {
			return err
		}
	}
	return nil
}

// writeTo writes all lines in order.
func (s *sorter) writeTo(out io.Writer) error {
	w := bufio.NewWriterSize(out, 64<<10)
	if len(s.runs) == 0 {
		if err := s.writeMemory(w); err != nil {
			return err
		}
		return w.Flush()
	}
	if err := s.spill(); err != nil {
		return err
	}
	if err := merge(w, s.runs); err != nil {
		return err
	}
	return w.Flush()
}

// close removes the temporary files.
func (s *sorter) close() error {
	runs := s.runs
	s.runs, s.text, s.lines = nil, nil, nil
	return removeAll(runs)
}

func removeAll(names []string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, os.Remove(name))
	}
	return errors.Join(errs...)
}

// merge writes the lines of sorted files in order.
func merge(w *bufio.Writer, names []string) (err error) {
	var h runHeap
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		r := &run{in: bufio.NewReaderSize(file, 64<<10)}
		if more, err := r.next(); err != nil {
			return err
		} else if more {
			h = append(h, r)
		}
	}
	heap.Init(&h)
	for len(h) > 0 {
		r := h[0]
		if _, err := w.Write(r.line); err != nil {
			return err
		}
		more, err := r.next()
		if err != nil {
			return err
		}
		if more {
			heap.Fix(&h, 0)
		} else {
			heap.Pop(&h)
		}
	}
	return nil
}

// run is a file of sorted lines that is being read.
type run struct {
	in   *bufio.Reader
	line []byte
}

func (r *run) next() (more bool, err error) {
	r.line = r.line[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		r.line = append(r.line, part...)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, io.EOF):
			return false, nil // every line has its line feed
		case !errors.Is(err, bufio.ErrBufferFull):
			return false, err
		}
	}
}

// runHeap has the run with the least line first.
type runHeap []*run

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return bytes.Compare(h[i].line, h[j].line) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*run)) }
func (h *runHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

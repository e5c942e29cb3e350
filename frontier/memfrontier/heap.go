package memfrontier

// The heaps below order entries and hosts for package heap.

// laterHeap has the entry whose NotBefore comes first at the top.
type laterHeap []*entry

func (l laterHeap) Len() int      { return len(l) }
func (l laterHeap) Swap(i, j int) { l[i], l[j] = l[j], l[i] }
func (l *laterHeap) Push(x any)   { *l = append(*l, x.(*entry)) }
func (l *laterHeap) Pop() any     { return pop((*[]*entry)(l)) }

func (l laterHeap) Less(i, j int) bool {
	if c := l[i].NotBefore.Compare(l[j].NotBefore); c != 0 {
		return c < 0
	}
	return l[i].seq < l[j].seq
}

// queueHeap has the oldest entry of the highest priority at the top.
type queueHeap []*entry

func (q queueHeap) Len() int      { return len(q) }
func (q queueHeap) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queueHeap) Push(x any)   { *q = append(*q, x.(*entry)) }
func (q *queueHeap) Pop() any     { return pop((*[]*entry)(q)) }

func (q queueHeap) Less(i, j int) bool {
	if q[i].Priority != q[j].Priority {
		return q[i].Priority > q[j].Priority
	}
	return q[i].seq < q[j].seq
}

// dueHeap has the host due first at the top.
type dueHeap []*host

func (d dueHeap) Len() int           { return len(d) }
func (d dueHeap) Less(i, j int) bool { return d[i].due.Before(d[j].due) }

func (d dueHeap) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

func (d *dueHeap) Push(x any) {
	h := x.(*host)
	h.index = len(*d)
	*d = append(*d, h)
}

func (d *dueHeap) Pop() any {
	h := pop((*[]*host)(d))
	h.index = -1
	return h
}

// pop takes off the last element.
func pop[T any](s *[]*T) *T {
	last := len(*s) - 1
	x := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return x
}

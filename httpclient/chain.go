package httpclient

// chain is a doubly linked list through its items, so that one is taken out from anywhere without a search, and putting
// it in allocates nothing. An item is in one chain at most.
type chain[T any, P chained[T]] struct {
	first, last *T
	n           int
}

// chained is a type that embeds neighbours of itself.
type chained[T any] interface {
	*T
	beside() *neighbours[T]
}

// neighbours are where an item stands in a chain.
type neighbours[T any] struct{ prev, next *T }

func (n *neighbours[T]) beside() *neighbours[T] { return n }

// push puts item at the end.
func (c *chain[T, P]) push(item *T) {
	*P(item).beside() = neighbours[T]{prev: c.last}
	if c.last != nil {
		P(c.last).beside().next = item
	} else {
		c.first = item
	}
	c.last = item
	c.n++
}

// remove takes out item, which must be in the chain.
func (c *chain[T, P]) remove(item *T) {
	at := P(item).beside()
	if at.prev != nil {
		P(at.prev).beside().next = at.next
	} else {
		c.first = at.next
	}
	if at.next != nil {
		P(at.next).beside().prev = at.prev
	} else {
		c.last = at.prev
	}
	*at = neighbours[T]{}
	c.n--
}

package frontier

import "context"

// TryLease is one try of Lease, which calls between when it has picked a host and not looked at it again.
func (f *Frontier) TryLease(ctx context.Context, between func()) (*Lease, error) {
	h, gone, err := f.next(ctx)
	if err != nil || len(gone) > 0 {
		return nil, err
	}
	between()
	return f.take(ctx, h)
}

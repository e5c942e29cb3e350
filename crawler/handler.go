package crawler

import (
	"context"
	"fmt"
	"runtime/debug"
)

// Handler is given pages. Handle is called by many workers at once. What it
// follows and emits through the page is committed with the page when it
// returns nil; if it returns an error or panics, the page is stored with the
// error, without them, and the crawl goes on.
//
// The context ends when the crawl is stopped hard. The run waits for its
// handlers, so one that may take long must watch the context; if it returns an
// error after that, its page is not stored and is fetched again by the next run.
// A handler that ends its goroutine (runtime.Goexit, and so testing.T.Fatal)
// ends the run with an error.
type Handler interface {
	Handle(ctx context.Context, p *Page) error
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(ctx context.Context, p *Page) error

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, p *Page) error { return f(ctx, p) }

// Middleware makes of a handler another one, which does something before or
// after it, or instead.
type Middleware func(Handler) Handler

// Chain wraps h in the middleware, the first outermost.
func Chain(h Handler, middleware ...Middleware) Handler {
	for i := len(middleware) - 1; i >= 0; i-- {
		h = middleware[i](h)
	}
	return h
}

// statusHandler is a handler that says which statuses it wants to see.
type statusHandler interface {
	WantsStatus(status int) bool
}

// PanicError is a handler's panic.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value that the handler panicked with, if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// call runs the handler and returns its panic as an error.
func call(ctx context.Context, h Handler, p *Page) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return h.Handle(ctx, p)
}

package crawler

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// Control acts on the job in a directory from outside: through the control
// socket of the process that crawls it, or, when none does, on the job itself. So
// a job at rest can be paused, added to and looked at like one that runs. The zero
// value is of no use; nothing has to be closed. Its methods may be called at
// once, from any process of the user that owns the job.
//
// Each call is answered within ControlTimeout unless its context ends before,
// but for Stop, which waits for the run's end, and Add, which has that time for
// every thousand URLs. Errors are of type *JobError: its Err is, or wraps,
// ErrNotJob, a *LockedError if another process has the job open and no control
// socket (Config.Control), a *ControlError with what the process answered, or an
// error of the system.
type Control struct {
	Dir string // of the job
}

// ControlTimeout is how long a process has for an answer.
const ControlTimeout = 30 * time.Second

// What a process may answer instead of doing what it was asked.
var (
	ErrNotRunning  = errors.New("is not running")
	ErrUnknownHost = errors.New("has no such host")
	ErrNoRoom      = errors.New("waits for room on its disk")
	ErrVersion     = errors.New("speaks another version of the control protocol")
)

// ControlError is the refusal of the process that runs a job. With errors.Is it
// answers to ErrUnknownHost, ErrNoRoom, ErrVersion and ErrClosed.
type ControlError struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

func (e *ControlError) Error() string { return e.Text }

// Is reports whether the process refused for the reason target.
func (e *ControlError) Is(target error) bool {
	known, ok := refusals[e.Kind]
	return ok && target == known
}

// refusals are the errors that have a kind of their own.
var refusals = map[string]error{
	"unknown-host": ErrUnknownHost,
	"no-room":      ErrNoRoom,
	"version":      ErrVersion,
	"closed":       ErrClosed,
}

// refusal is err as it is told to the other side.
func refusal(err error) *ControlError {
	for kind, known := range refusals {
		if errors.Is(err, known) {
			return &ControlError{kind, clip(err.Error(), maxControlText)}
		}
	}
	return &ControlError{"failed", clip(err.Error(), maxControlText)}
}

// maxControlText bounds a text that is told to the other side, in bytes.
const maxControlText = 1 << 10

func clip(s string, n int) string { return s[:min(len(s), n)] }

// Status tells how the job stands: live figures of one that runs and has a
// control socket, what it last wrote if it has none, and of a job at rest what it
// holds.
func (c Control) Status(ctx context.Context) (*Status, error) {
	return c.status(ctx, controlRequest{Do: "status"}, func() error { return nil })
}

// Pause is Crawler.Pause, and Resume Crawler.Resume. They return the job's status
// after it.
func (c Control) Pause(ctx context.Context) (*Status, error) { return c.setPaused(ctx, "pause", true) }

// Resume ends what Pause began.
func (c Control) Resume(ctx context.Context) (*Status, error) {
	return c.setPaused(ctx, "resume", false)
}

func (c Control) setPaused(ctx context.Context, do string, paused bool) (*Status, error) {
	return c.status(ctx, controlRequest{Do: do}, func() error {
		return edit(c.Dir, func(e *editor) error {
			_, err := e.job.setPaused(paused, time.Now())
			return err
		})
	})
}

// status asks for what a status answers, or does it to the job at rest.
func (c Control) status(ctx context.Context, r controlRequest, atRest func() error) (s *Status, err error) {
	err = c.either(ctx, r, func(a *controlAnswer) { s = a.Status }, func() error {
		if err := atRest(); err != nil {
			return err
		}
		s, err = statusAtRest(c.Dir)
		return err
	})
	if errors.Is(err, ErrLocked) && r.Do == "status" {
		return statusWritten(c.Dir, err)
	}
	return s, err
}

// statusAtRest is the status of a job that nobody crawls.
func statusAtRest(dir string) (*Status, error) {
	j, err := OpenJob(dir)
	if err != nil {
		return nil, err
	}
	defer j.Close()
	stats, err := j.Stats()
	if err != nil {
		return nil, err
	}
	return &Status{Written: time.Now(), State: StateAtRest, Stats: stats, Database: j.file.Size()}, nil
}

// statusWritten is what the process told by locked last wrote of itself. Its time
// is zero if that was another process.
func statusWritten(dir string, locked error) (*Status, error) {
	s := &Status{State: StateRunning}
	if by, ok := errors.AsType[*LockedError](locked); ok {
		s.PID = by.PID
	}
	said, err := ReadStatus(dir)
	if err == nil && (s.PID == 0 || said.PID == s.PID) {
		return said, nil
	}
	return s, nil
}

// Stop ends the run as Crawler.Stop does, or, if now, as Crawler.StopNow, and
// waits until its process has closed the job. When nobody runs it, the error is
// ErrNotRunning.
func (c Control) Stop(ctx context.Context, now bool) error {
	conn, err := dialControl(ctx, c.Dir)
	if err != nil {
		if errors.Is(err, ErrNotRunning) {
			err = c.whyNotRunning()
		}
		return c.wrap("stop", err)
	}
	defer conn.close()
	// One that is closing already, or has gone meanwhile, needs no asking.
	err = conn.askSoon(ctx, controlRequest{Do: "stop", Now: now})
	if err == nil || errors.Is(err, ErrClosed) {
		err = conn.waitForEnd(ctx)
	} else if errors.Is(err, ErrNotRunning) {
		err = nil
	}
	return c.wrap("stop", err)
}

// whyNotRunning is ErrNotRunning, or what else is wrong with the job.
func (c Control) whyNotRunning() error {
	j, err := OpenJob(c.Dir)
	if err != nil {
		return err
	}
	return errors.Join(ErrNotRunning, j.Close())
}

// addAtOnce is how many URLs go into one request, and addBytes how many bytes.
const (
	addAtOnce = 1000
	addBytes  = maxControlLine / 4
)

// Add adds URLs to start from, as Crawler.AddSeeds does, and returns how many
// were good. Those that are no URL are joined in the error as *SeedError, the
// first hundred of them. With another error, those that were counted are in the
// job.
func (c Control) Add(ctx context.Context, urls iter.Seq[string]) (added int, err error) {
	var (
		bad   badSeeds
		batch []string
		size  int
		line  int // before the batch
	)
	send := func() error {
		if len(batch) == 0 {
			return nil
		}
		n, wrong, err := c.addBatch(ctx, batch)
		added += n
		for _, e := range wrong {
			e.Line += line
			bad.addOne(e)
		}
		if err == nil {
			bad.all += len(batch) - n - len(wrong) // those that were not listed
		}
		line += len(batch)
		batch, size = batch[:0], 0
		return err
	}
	for u := range urls {
		if len(u) > addBytes { // no URL is that long
			u = clip(u, addBytes)
		}
		if batch = append(batch, u); len(batch) == addAtOnce || size+len(u) > addBytes {
			if err := send(); err != nil {
				return added, err
			}
			continue
		}
		size += len(u)
	}
	if err := send(); err != nil {
		return added, err
	}
	return added, bad.err()
}

// addBatch adds some; the lines of those that are bad count from the first.
func (c Control) addBatch(ctx context.Context, urls []string) (added int, bad []*SeedError, err error) {
	err = c.either(ctx, controlRequest{Do: "add", URLs: urls}, func(a *controlAnswer) {
		added = a.Added
		for _, b := range a.Bad {
			bad = append(bad, &SeedError{b.Line, b.Text, errors.New(b.Error)})
		}
	}, func() error {
		return edit(c.Dir, func(e *editor) (err error) {
			added, err = e.addSeeds(slices.Values(urls))
			bad, err = splitSeedErrors(err)
			return err
		})
	})
	return added, bad, err
}

// Host tells what the job knows of a host, which is named as in a URL, with its
// port unless that is the usual one, or by a URL of it. The error is
// ErrUnknownHost if it never heard of it.
func (c Control) Host(ctx context.Context, host string) (*HostState, error) {
	return c.host(ctx, controlRequest{Do: "host", Host: host}, func(key string) (*HostState, error) {
		j, err := OpenJob(c.Dir)
		if err != nil {
			return nil, err
		}
		defer j.Close()
		return j.Host(ctx, key)
	})
}

// Explain is Crawler.Explain, or Job.Explain. The error is a *weburl.Error if rawURL
// is no URL.
func (c Control) Explain(ctx context.Context, rawURL string) (e *Explanation, err error) {
	if _, err := weburl.Parse(rawURL); err != nil {
		return nil, err
	}
	err = c.either(ctx, controlRequest{Do: "explain", URLs: []string{rawURL}}, func(a *controlAnswer) { e = a.Explanation }, func() error {
		j, err := OpenJob(c.Dir)
		if err != nil {
			return err
		}
		defer j.Close()
		e, err = j.Explain(ctx, rawURL)
		return err
	})
	return e, err
}

// ChangeHost is Crawler.ChangeHost, and returns the host's state after it.
func (c Control) ChangeHost(ctx context.Context, host string, change HostChange) (*HostState, error) {
	return c.host(ctx, controlRequest{Do: "host", Host: host, Change: &change}, func(key string) (s *HostState, err error) {
		err = edit(c.Dir, func(e *editor) error {
			if err := e.changeHost(key, change); err != nil {
				return err
			}
			s, err = e.job.Host(ctx, key)
			return err
		})
		return s, err
	})
}

func (c Control) host(ctx context.Context, r controlRequest, atRest func(key string) (*HostState, error)) (s *HostState, err error) {
	err = c.either(ctx, r, func(a *controlAnswer) { s = a.Host }, func() (err error) {
		s, err = atRest(r.Host)
		return err
	})
	return s, err
}

// handover is how long either waits for a process that is just coming or going.
const handover = 2 * time.Second

// either asks the process that runs the job, or does it to the job at rest.
func (c Control) either(ctx context.Context, r controlRequest, answered func(*controlAnswer), atRest func() error) error {
	ctx, cancel := withControlTimeout(ctx)
	defer cancel()
	for deadline := time.Now().Add(handover); ; {
		a, err := c.ask(ctx, r)
		if err == nil {
			answered(a)
			return nil
		}
		if !errors.Is(err, ErrNotRunning) && !errors.Is(err, ErrClosed) {
			return c.wrap(r.Do, err)
		}
		err = atRest()
		if !errors.Is(err, ErrLocked) || time.Now().After(deadline) {
			return c.wrap(r.Do, err)
		}
		select {
		case <-ctx.Done():
			return c.wrap(r.Do, context.Cause(ctx))
		case <-time.After(handover / 20):
		}
	}
}

// ask makes one request of the process that runs the job, or returns
// ErrNotRunning.
func (c Control) ask(ctx context.Context, r controlRequest) (*controlAnswer, error) {
	conn, err := dialControl(ctx, c.Dir)
	if err != nil {
		return nil, err
	}
	defer conn.close()
	return conn.ask(ctx, r)
}

// wrap makes err a *JobError, if it is none yet.
func (c Control) wrap(op string, err error) error {
	if _, ok := errors.AsType[*JobError](err); ok || err == nil {
		return err
	}
	return &JobError{controlOps[op], c.Dir, err}
}

// controlOps names what was asked for as the operation of a JobError.
var controlOps = map[string]string{
	"status": "read status of", "pause": "pause", "resume": "resume", "stop": "stop",
	"add": "add to", "host": "ask about a host of", "explain": "ask about a URL of",
}

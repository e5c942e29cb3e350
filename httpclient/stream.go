package httpclient

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// Limits on a body's framing.
const (
	maxChunkLine     = 8 << 10
	maxChunkOverhead = 64 << 10 // framing bytes allowed beyond eight for each byte of content
	drainAfterCoding = 64 << 10 // bytes read past the end of a coded body to keep the connection
	drainTime        = 50 * time.Millisecond
	streamBuffer     = 4 << 10
)

// Stream is the body of a response, its content coding undone. Reading drives the
// connection: nothing is read ahead of the caller but what one read of the socket
// brought. At its end the connection goes back to the pool by itself.
//
// A Stream is used by one goroutine at a time. Only Close may be called at any time
// and from anywhere: it ends a Read that is waiting.
type Stream struct {
	resp *Response
	turn atomic.Uint32 // who may use the rest
	held *Conn         // as it was at the start
	conn *Conn         // nil once the body has ended or failed
	ctx  context.Context
	stop func() bool   // ends the watch over ctx
	src  io.ReadCloser // with byReader

	frame  framing
	length int64 // as announced; -1: unknown
	left   int64 // of the body, or of the current chunk
	inData bool  // within a chunk's data
	chunks int   // ended so far

	wireErr  error // what ended the transfer; io.EOF for a whole body
	received int64 // body bytes without framing
	most     int64 // of them, before the stream fails with errPadded; 0: no limit
	overhead int64 // framing bytes
	waited   time.Duration
	windowed int64     // bytes within the window of MinRate
	drainBy  time.Time // end of patience with the rest of a released body

	dec   *decoder  // nil: identity
	tee   io.Writer // RawBody
	buf   []byte    // decoded, not yet given: of ReadLine, Unread and the like
	given int64     // bytes given to the caller
	err   error     // what ended the stream for the caller
}

// States of Stream.turn. Close takes a stream that nobody reads; of one that is being
// read it closes the connection, and the reader does the rest when it comes back.
const (
	streamFree uint32 = iota
	streamReading
	streamClosing // and still read
	streamClosed
)

// errPadded ends a body whose coding holds far more than the content that is wanted, or
// nothing at all.
var errPadded = errors.New("httpclient: more was transferred than the content can need")

// errTwoReaders is the fault of a caller.
var errTwoReaders = errors.New("httpclient: the body is being read by another goroutine")

// begin takes the turn of reading. With nil, end must follow.
func (s *Stream) begin() error {
	if s.turn.CompareAndSwap(streamFree, streamReading) {
		return nil
	}
	if s.turn.Load() == streamReading {
		return errTwoReaders
	}
	return ErrBodyClosed
}

// end gives up the turn, and does what a Close left to do meanwhile.
func (s *Stream) end() {
	if !s.turn.CompareAndSwap(streamReading, streamFree) {
		s.shut()
		s.turn.Store(streamClosed)
	}
}

// start prepares s for the body of a response that conn has read the head of.
func (s *Stream) start(frame framing, length int64, codings string) error {
	s.frame, s.length, s.left = frame, length, length
	if frame == noBody {
		s.length = 0
		s.finish()
		return nil
	}
	if codings == "" {
		return nil
	}
	dec, err := newDecoder(codings, wireReader{s}, decodeLimits{Size: Unlimited, Ratio: s.resp.req.settings().decodeRatio})
	if err != nil {
		return &PayloadError{Kind: PayloadEncoding, Want: length, Err: err}
	}
	s.dec = dec
	return nil
}

// wireReader is a Stream below its decoder.
type wireReader struct{ s *Stream }

func (w wireReader) Read(p []byte) (int, error) { return w.s.readWire(p) }

// Read gives content as it comes. The error at the end of a body that is whole is
// io.EOF, else a *RequestError with a *PayloadError or *TimeoutError.
func (s *Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if s.hasBuffered() {
		n := copy(p, s.buf)
		s.buf = s.buf[n:]
		return n, nil
	}
	return s.read(p)
}

// hasBuffered reports whether content lies in s.buf, of which a closed stream gives
// nothing.
func (s *Stream) hasBuffered() bool {
	if len(s.buf) > 0 && s.turn.Load() > streamReading {
		s.buf = nil
	}
	return len(s.buf) > 0
}

// read is Read without the buffer.
func (s *Stream) read(p []byte) (int, error) {
	if err := s.begin(); err != nil {
		if err == ErrBodyClosed && s.turn.Load() == streamClosed {
			err = s.err
		}
		return 0, err
	}
	defer s.end()
	if s.err != nil {
		return 0, s.err
	}
	for {
		var n int
		var err error
		if s.dec != nil {
			n, err = s.dec.Read(p)
		} else {
			n, err = s.readWire(p)
		}
		s.given += int64(n)
		if err != nil {
			s.settle(err)
			if n > 0 {
				return n, nil
			}
			return 0, s.err
		}
		if n > 0 {
			return n, nil
		}
	}
}

// settle makes err what ended the stream, and lets go of the decoder.
func (s *Stream) settle(err error) {
	if err == io.EOF && s.turn.Load() == streamClosing {
		s.wireErr = ErrBodyClosed // the server may take our farewell for its cue to end
	}
	switch {
	case err == io.EOF:
		if s.dec != nil {
			s.finishCoding()
		}
		if s.wireErr != nil && s.wireErr != io.EOF {
			err = s.wireErr
		}
	case s.wireErr != nil && s.wireErr != io.EOF:
		err = s.wireErr
	case isDecodeError(err):
		err = &PayloadError{Kind: PayloadEncoding, Got: s.received, Want: s.length, Err: err}
		s.abandon(err)
	}
	if s.dec != nil {
		s.resp.codingDefects = s.dec.defects()
		_ = s.dec.Close()
		s.dec = nil
	}
	if err != io.EOF {
		s.resp.truncated = true
		err = s.resp.req.wrap(err)
	}
	s.err = err
}

func isDecodeError(err error) bool {
	var de *DecodeError
	return errors.As(err, &de)
}

// finishCoding reads what follows the end of the coded body, which is the end of
// the framing or little else.
func (s *Stream) finishCoding() {
	var scratch [512]byte
	for budget := drainAfterCoding; s.wireErr == nil; {
		n, err := s.readWire(scratch[:])
		if isTeeError(s.wireErr) {
			return
		}
		if budget -= n; budget < 0 || err != nil && err != io.EOF {
			s.abandon(io.EOF) // the content is whole
			s.wireErr = io.EOF
			return
		}
	}
}

// readWire gives body bytes as transferred, without framing.
func (s *Stream) readWire(p []byte) (n int, err error) {
	if s.wireErr != nil {
		return 0, s.wireErr
	}
	if s.most > 0 && s.received >= s.most {
		s.abandon(errPadded)
		return 0, errPadded
	}
	switch s.frame {
	case byLength:
		n, err = s.receive(p[:min(int64(len(p)), s.left)])
		s.left -= int64(n)
		if s.left == 0 && err == nil {
			s.finish()
		}
	case byClose:
		n, err = s.receive(p)
	case byChunks:
		n, err = s.readChunked(p)
	case byReader:
		n, err = s.readSource(p)
	default:
		return 0, io.EOF
	}
	if n > 0 {
		s.received += int64(n)
		s.resp.req.effective.trace.readBody(n)
		if s.tee != nil {
			if terr := tee(s.tee, "RawBody", p[:n]); terr != nil {
				s.abandon(terr)
				s.wireErr, err = terr, terr
			}
		}
	}
	if s.conn != nil && s.conn.wireErr != nil {
		err = s.conn.wireErr
		s.abandon(err)
	}
	if err != nil && s.wireErr == nil {
		s.fail(err)
		err = s.wireErr
	}
	return n, err
}

// receive gives bytes from the connection, waiting within the limits.
func (s *Stream) receive(p []byte) (n int, err error) {
	c := s.conn
	if c.in.len() > 0 {
		return c.read(p)
	}
	err = s.await(func() error { n, err = c.read(p); return err })
	return n, err
}

// await runs one read of the connection under the limits Idle, MinRate and Total.
func (s *Stream) await(read func() error) error {
	t := s.resp.req.timeouts()
	total := s.resp.req.effective.deadline
	if !s.drainBy.IsZero() && (total.IsZero() || s.drainBy.Before(total)) {
		total = s.drainBy
	}
	for {
		now := time.Now()
		s.allow(now, t, total)
		came := s.conn.came
		err := read()
		s.windowed += s.conn.came - came // with what stays in the buffer, or is framing
		if t.MinRate <= 0 {
			if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
				return s.timeout(t, total)
			}
			return err
		}
		s.waited += time.Since(now)
		slow := s.tooSlow(t)
		switch {
		case slow:
			return &TimeoutError{Phase: PhaseRate, Limit: rateWindow, Err: err}
		case err == nil || !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case time.Since(now) >= t.Idle && t.Idle > 0, !total.IsZero() && !time.Now().Before(total), s.ctx.Err() != nil:
			return s.timeout(t, total)
		}
		s.conn.in.err = nil // the window ended, not the patience
	}
}

// allow sets the deadline for a read that starts now.
func (s *Stream) allow(now time.Time, t *Timeout, total time.Time) {
	var until time.Time
	if t.Idle > 0 {
		until = now.Add(t.Idle)
	}
	if t.MinRate > 0 {
		if window := now.Add(rateWindow - s.waited); until.IsZero() || window.Before(until) {
			until = window
		}
	}
	if !total.IsZero() && (until.IsZero() || total.Before(until)) {
		until = total
	}
	s.conn.readBy(now, until)
}

// tooSlow closes a window of MinRate that is over, and judges it.
func (s *Stream) tooSlow(t *Timeout) bool {
	if s.waited < rateWindow {
		return false
	}
	slow := float64(s.windowed) < float64(t.MinRate)*s.waited.Seconds()
	s.waited, s.windowed = 0, 0
	return slow
}

// timeout is the error of a read that ran into its deadline.
func (s *Stream) timeout(t *Timeout, total time.Time) error {
	switch {
	case s.ctx.Err() != nil:
		return contextError(s.ctx)
	case !total.IsZero() && !time.Now().Before(total):
		return &TimeoutError{Phase: PhaseTotal, Limit: t.Total, Err: os.ErrDeadlineExceeded}
	}
	return &TimeoutError{Phase: PhaseIdle, Limit: t.Idle, Err: os.ErrDeadlineExceeded}
}

// fail ends the transfer because of err.
func (s *Stream) fail(err error) {
	if err == io.EOF && s.frame == byClose {
		if s.conn != nil && s.conn.wasCut() {
			s.resp.head.defects |= DefectNoFarewell
		}
		s.finish()
		return
	}
	var pe *PayloadError
	var te *TimeoutError
	switch {
	case isTeeError(s.resp.upload.failure()):
		err = s.resp.upload.failure()
	case !s.drainBy.IsZero() && errors.Is(err, os.ErrDeadlineExceeded):
		err = ErrBodyClosed // by Release, whose patience is over
	case isTeeError(err), errors.As(err, &pe), errors.As(err, &te), s.ctx != nil && s.ctx.Err() != nil && errors.Is(err, contextError(s.ctx)):
	case s.ctx != nil && s.ctx.Err() != nil:
		err = contextError(s.ctx)
	case s.turn.Load() == streamClosing:
		err = ErrBodyClosed
	default:
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		} else if s.conn != nil {
			err = s.conn.ioError(s.ctx, "read", err)
		}
		want := s.length
		err = &PayloadError{Kind: PayloadTruncated, Got: s.received, Want: want, Err: err}
	}
	s.abandon(err)
}

// finish ends a transfer that is complete: the connection goes back.
func (s *Stream) finish() {
	c := s.conn
	if s.wireErr = io.EOF; c == nil {
		return
	}
	s.resp.upload.settle()
	if c.wireErr != nil {
		s.wireErr = c.wireErr
	} else if terr := s.resp.upload.failure(); isTeeError(terr) {
		s.wireErr = terr
	}
	s.conn = nil
	now := time.Now()
	s.resp.finished(now, s.wireErr)
	if !s.stop() || s.frame == byClose || !s.resp.keepConn || s.wireErr != io.EOF {
		c.broken = true
	}
	if s.resp.upload.busy() {
		c.broken = true
	}
	if c.wire != nil {
		c.wire = nil
	}
	c.giveBack(now)
}

// abandon closes the connection before the end of the body, because of why, unless the
// transfer has ended already.
func (s *Stream) abandon(why error) {
	if s.wireErr == nil {
		s.wireErr = why
	}
	if s.src != nil {
		_ = s.src.Close()
	}
	c := s.conn
	if c == nil {
		return
	}
	s.conn = nil
	s.resp.finished(time.Now(), why)
	s.stop()
	c.discard()
}

// Close ends the stream. If the body was not read to its end, the connection is
// closed; [Response.Release] may save it. It may be called again, and while another
// goroutine reads.
func (s *Stream) Close() error {
	switch {
	case s.turn.CompareAndSwap(streamFree, streamClosing):
		s.shut()
		s.turn.Store(streamClosed)
	case s.turn.CompareAndSwap(streamReading, streamClosing):
		_ = s.held.Close()
	}
	return nil
}

// shut lets go of everything.
func (s *Stream) shut() {
	s.abandon(ErrBodyClosed)
	if s.dec != nil {
		_ = s.dec.Close()
		s.dec = nil
	}
	switch {
	case s.err != nil:
	case isTeeError(s.wireErr):
		s.err = s.resp.req.wrap(s.wireErr)
	default:
		s.err = ErrBodyClosed
	}
}

// drain reads on within limit bytes and a moment's time, to save the connection.
func (s *Stream) drain(limit int64) {
	if s.begin() != nil {
		return
	}
	defer s.end()
	if s.conn == nil || limit <= 0 || s.frame == byClose || s.frame == byReader || s.length-s.received > limit {
		return
	}
	s.drainBy = time.Now().Add(drainTime)
	scratch := inputBuffers.Get().(*[inputSize]byte)
	defer inputBuffers.Put(scratch)
	for s.wireErr == nil && limit >= 0 {
		n, _ := s.readWire(scratch[:])
		limit -= int64(n)
	}
}

// Err returns what ended the stream, nil while it goes on or if it ended well.
func (s *Stream) Err() error {
	if s.err == io.EOF {
		return nil
	}
	return s.err
}

// EOF reports whether the transfer is complete; content may still be unread.
func (s *Stream) EOF() bool { return s.wireErr == io.EOF }

// AtEOF reports whether the stream ended well and all of it was given.
func (s *Stream) AtEOF() bool { return s.err == io.EOF && len(s.buf) == 0 }

// RawBytes returns how many body bytes were transferred so far, without framing
// and before decoding.
func (s *Stream) RawBytes() int64 { return s.received }

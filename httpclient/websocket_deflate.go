package httpclient

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws/wsflate"
	"github.com/klauspost/compress/flate"
)

// The extension permessage-deflate, RFC 7692. For each direction the two sides agree on the size of the window that
// compression looks back in, and whether it is kept from message to message ("context takeover"): then a message may
// refer to what came in those before it.

// wsWindow is what is agreed on for one direction.
type wsWindow struct {
	bits int // 8 to 15: the window has two to the power of them bytes
	kept bool
}

func (w wsWindow) size() int { return 1 << w.bits }

// Messages shorter than this are not worth compressing: by themselves, and with what came before.
const (
	wsDeflateFrom     = 128
	wsDeflateKeptFrom = 16
)

// deflateOffer is RFC 7692 section 7.1.
func (o *WSOptions) deflateOffer() string {
	offer := wsflate.Parameters{
		ServerNoContextTakeover: o.NoContextTakeover, ClientNoContextTakeover: o.NoContextTakeover,
		ClientMaxWindowBits: 1, // without a value
	}
	if o.Compress < 15 {
		offer.ServerMaxWindowBits = wsflate.WindowBits(o.Compress)
		offer.ClientMaxWindowBits = wsflate.WindowBits(o.Compress)
	}
	var b strings.Builder
	_, _ = httphead.WriteOptions(&b, []httphead.Option{offer.Option()})
	return b.String()
}

// agreeDeflate reads the server's answer to the offer, and refuses what the offer does not allow.
func (o *WSOptions) agreeDeflate(extensions string) (send, receive wsWindow, err error) {
	options, ok := httphead.ParseOptions([]byte(extensions), nil)
	if !ok || len(options) != 1 || o.Compress == 0 || string(options[0].Name) != wsflate.ExtensionName {
		return send, receive, errors.New("the extensions were not offered")
	}
	var p wsflate.Parameters
	if err := p.Parse(options[0]); err != nil {
		return send, receive, err
	}
	send = wsWindow{bits: o.Compress, kept: !o.NoContextTakeover && !p.ClientNoContextTakeover}
	receive = wsWindow{bits: 15, kept: !p.ServerNoContextTakeover}
	if p.ServerMaxWindowBits.Defined() {
		receive.bits = int(p.ServerMaxWindowBits)
	}
	switch bits := int(p.ClientMaxWindowBits); {
	case bits == 1:
		return send, receive, errors.New("client_max_window_bits has no value")
	case bits > 0:
		send.bits = min(send.bits, bits)
	}
	switch {
	case o.NoContextTakeover && receive.kept:
		err = errors.New("the server insists on keeping its compression window")
	case receive.bits > o.Compress:
		err = errors.New("the server insists on a larger compression window")
	}
	return send, receive, err
}

// wsDeflater compresses messages. It belongs to who writes.
type wsDeflater struct {
	wsWindow
	buf bytes.Buffer
	w   *wsflate.Writer // has the window, if it is kept; nil before the first message
}

// deflates reports whether a message of n bytes is to be compressed.
func (d *wsDeflater) deflates(n int) bool {
	if d == nil {
		return false
	}
	return n >= wsDeflateFrom || d.kept && n >= wsDeflateKeptFrom
}

// wsWriters are compressors for messages by themselves, by the bits of their windows: each takes a megabyte.
var wsWriters [16]sync.Pool

// deflate returns data compressed, valid until the next call. With a window that is kept, it has to be sent then.
func (d *wsDeflater) deflate(data []byte) ([]byte, error) {
	if d.buf.Cap() > wsKeepBuffer {
		d.buf = bytes.Buffer{}
	}
	d.buf.Reset()
	w := d.w
	if w == nil && !d.kept {
		w, _ = wsWriters[d.bits].Get().(*wsflate.Writer)
	}
	if w == nil {
		w = newWSWriter(d.wsWindow)
	}
	w.Reset(&d.buf)
	_, err := w.Write(data)
	if err == nil {
		err = w.Flush()
	}
	switch {
	case err != nil: // which a bytes.Buffer gives no cause for
		return nil, err
	case d.kept:
		d.w = w
	default:
		w.Reset(nil)
		wsWriters[d.bits].Put(w)
	}
	return d.buf.Bytes(), nil
}

func newWSWriter(window wsWindow) *wsflate.Writer {
	var c wsflate.Compressor
	return wsflate.NewWriter(nil, func(w io.Writer) wsflate.Compressor {
		if c == nil {
			fw, _ := flate.NewWriterWindow(w, window.size()) // fails for other sizes only
			if c = fw; window.kept {
				c = onward{fw}
			}
		}
		return c // which writes to the same w for good
	})
}

// onward is a compressor without its Reset, by which wsflate would have it forget the window.
type onward struct{ w *flate.Writer }

func (o onward) Write(p []byte) (int, error) { return o.w.Write(p) }
func (o onward) Flush() error                { return o.w.Flush() }

// wsInflater undoes the compression of messages. It belongs to who reads.
type wsInflater struct {
	wsWindow
	window []byte // the end of the compressed messages so far, if it is kept
}

// inflation is what inflates one message; a wsInflater has none between messages.
type inflation struct {
	br *bufio.Reader
	fr io.ReadCloser
}

var inflations = sync.Pool{New: func() any {
	i := &inflation{br: bufio.NewReader(nil)}
	i.fr = flate.NewReader(i.br)
	return i
}}

// errBadDeflate wraps what is wrong with a compressed message.
type errBadDeflate struct{ err error }

func (e errBadDeflate) Error() string { return "compressed message: " + e.err.Error() }
func (e errBadDeflate) Unwrap() error { return e.err }

// codedMessage keeps the error of reading a compressed message, to be told from
// those of inflating it.
type codedMessage struct {
	r   io.Reader
	err error
}

func (c *codedMessage) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// inflate returns what all makes of the message src, inflated.
func (f *wsInflater) inflate(src io.Reader, all func(io.Reader) ([]byte, error)) ([]byte, error) {
	i := inflations.Get().(*inflation)
	coded := &codedMessage{r: src}
	data, err := all(wsflate.NewReader(coded, func(tailed io.Reader) wsflate.Decompressor {
		i.br.Reset(tailed)
		_ = i.fr.(flate.Resetter).Reset(i.br, f.window) // never fails
		return i.fr
	}))
	i.br.Reset(nil)
	inflations.Put(i)
	switch {
	case coded.err != nil:
		return nil, coded.err
	case err == errMessageTooBig:
		return nil, err
	case err != nil:
		return nil, errBadDeflate{err}
	}
	f.slide(data)
	return data, nil
}

// slide moves the window on, over data.
func (f *wsInflater) slide(data []byte) {
	if !f.kept {
		return
	}
	if f.window == nil {
		f.window = make([]byte, 0, f.size())
	}
	data = data[max(0, len(data)-f.size()):]
	rest := min(len(f.window), f.size()-len(data))
	f.window = append(f.window[:0], f.window[len(f.window)-rest:]...)
	f.window = append(f.window, data...)
}

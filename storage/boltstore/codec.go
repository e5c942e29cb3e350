package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/orbweaver/orbweaver/storage"
)

// A record's metadata:
//
//	version      1 byte
//	flags        1 byte
//	numbers      varint each, in the order of appendRecord
//	digest       8 bytes, only with flagDigest
//	revisit      Change (1 byte), BodySeq (uvarint, 0 for the record's own or none); only with flagRevisit
//	body         uvarint size, CRC-32C (4 bytes); only with flagBody
//	sizes        uvarint each: texts in the order of texts, then head, then data, which is there only with flagData
//	contents     bytes of each, in the same order
//	CRC-32C      4 bytes, of all before it
//
// The texts come first so that all of them can share one string when decoded.
//
// Version 3 is the same without flagData, version 2 without flagDigest and
// flagRevisit too, version 1 also without flagNotes.
const recordVersion = 4

const (
	flagTruncated = 1 << iota
	flagSameFinal // FinalURL is URL and not written
	flagSameHost  // Host is the authority of URL and not written
	flagBody      // the body is kept
	flagNotes     // the texts of notes follow the others
	flagDigest
	flagRevisit
	flagData // the last that there is room for
)

const crcSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// updateChecksum is the checksum of b after what gave crc.
func updateChecksum(crc uint32, b []byte) uint32 { return crc32.Update(crc, castagnoli, b) }

// stored is what a record's metadata says.
type stored struct {
	storage.Record // without Seq, Body and Items; BodySeq only if it is another's

	hasBody  bool
	bodySize uint64
	bodyCRC  uint32
	items    uint64 // number of items
	size     int    // of the metadata itself, as stored
}

const (
	numTexts = 15
	numNotes = 3 // the last of texts, which few records have
)

// texts lists the string fields in the order in which they are written.
func texts(r *storage.Record) [numTexts]*string {
	return [numTexts]*string{
		&r.URL, &r.FinalURL, &r.Host, &r.Referrer, &r.Label, &r.Proto, &r.ContentType,
		&r.Charset, &r.Encoding, &r.Title, &r.Error, &r.ErrorClass,
		&r.Kind, &r.Rel, &r.Robots,
	}
}

// numWritten is how many of texts a record with these flags has.
func numWritten(flags byte) int {
	if flags&flagNotes == 0 {
		return numTexts - numNotes
	}
	return numTexts
}

// appendRecord appends r's metadata to dst.
func appendRecord(dst []byte, r *storage.Record) []byte {
	start := len(dst)
	flags := flagsOf(r)
	dst = append(dst, recordVersion, flags)
	for _, n := range [...]int64{
		int64(r.Status), int64(r.Depth), int64(r.Attempts), int64(r.Redirects), int64(r.Links),
		r.FetchedAt.Unix(), int64(r.FetchedAt.Nanosecond()), int64(r.Duration),
		r.Bytes, r.WireBytes, int64(len(r.Items)),
	} {
		dst = binary.AppendVarint(dst, n)
	}
	if flags&flagDigest != 0 {
		dst = binary.BigEndian.AppendUint64(dst, r.Digest)
	}
	if flags&flagRevisit != 0 {
		dst = append(dst, byte(r.Change))
		dst = binary.AppendUvarint(dst, bodyOfOther(r))
	}
	if flags&flagBody != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.Body)))
		dst = binary.BigEndian.AppendUint32(dst, checksum(r.Body))
	}
	written := [numTexts]string{}
	for i, s := range texts(r) {
		written[i] = *s
	}
	if flags&flagSameFinal != 0 {
		written[1] = ""
	}
	if flags&flagSameHost != 0 {
		written[2] = ""
	}
	for _, s := range written[:numWritten(flags)] {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Head)))
	if flags&flagData != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.Data)))
	}
	for _, s := range written {
		dst = append(dst, s...)
	}
	dst = append(dst, r.Head...)
	dst = append(dst, r.Data...)
	return binary.BigEndian.AppendUint32(dst, checksum(dst[start:]))
}

func flagsOf(r *storage.Record) (flags byte) {
	if r.Truncated {
		flags |= flagTruncated
	}
	if r.FinalURL == r.URL {
		flags |= flagSameFinal
	}
	if r.Host == storage.URLHost(r.URL) {
		flags |= flagSameHost
	}
	if r.Body != nil {
		flags |= flagBody
	}
	if r.Kind != "" || r.Rel != "" || r.Robots != "" {
		flags |= flagNotes
	}
	if r.Digest != 0 {
		flags |= flagDigest
	}
	if r.Change != storage.ChangeNone || bodyOfOther(r) != 0 {
		flags |= flagRevisit
	}
	if len(r.Data) > 0 {
		flags |= flagData
	}
	return flags
}

// bodyOfOther is the record that holds r's body, 0 if that is r or none.
func bodyOfOther(r *storage.Record) uint64 {
	if r.Body != nil {
		return 0
	}
	return r.BodySeq
}

// decodeRecord reads what appendRecord wrote. The result shares no memory with
// b. The error is a *storage.FormatError or tells what is wrong with b.
func decodeRecord(b []byte) (*stored, error) {
	payload, err := cutChecksum(b)
	if err != nil {
		return nil, err
	}
	return decodePayload(payload)
}

// cutChecksum verifies and removes the CRC at the end of b.
func cutChecksum(b []byte) ([]byte, error) {
	n := len(b) - crcSize
	if n < 0 {
		return nil, fmt.Errorf("%d bytes are too few", len(b))
	}
	if want, got := binary.BigEndian.Uint32(b[n:]), checksum(b[:n]); want != got {
		return nil, fmt.Errorf("CRC is %08x, not %08x", got, want)
	}
	return b[:n], nil
}

func decodePayload(b []byte) (*stored, error) {
	d := decoder{rest: b}
	version := d.byte()
	if version > recordVersion {
		return nil, &storage.FormatError{What: "a record", Have: uint64(version), Known: recordVersion}
	}
	flags := d.byte()
	if version == 0 {
		return nil, errors.New("it has no version")
	}
	r := &stored{}
	r.Truncated = flags&flagTruncated != 0
	for _, n := range [...]*int{&r.Status, &r.Depth, &r.Attempts, &r.Redirects, &r.Links} {
		*n = d.int()
	}
	r.FetchedAt = d.time()
	r.Duration = time.Duration(d.varint())
	r.Bytes, r.WireBytes = d.varint(), d.varint()
	items := d.varint()
	if items < 0 {
		d.fail("negative number of items")
	}
	r.items = uint64(items)
	if flags&flagDigest != 0 {
		r.Digest = d.uint64()
	}
	if flags&flagRevisit != 0 {
		r.Change, r.BodySeq = storage.Change(d.byte()), d.uvarint()
		if !r.Change.Valid() {
			d.fail("unknown change")
		}
		if flags&flagBody != 0 && r.BodySeq != 0 {
			d.fail("two bodies")
		}
	}
	if flags&flagBody != 0 {
		r.hasBody, r.bodySize, r.bodyCRC = true, d.uvarint(), d.uint32()
	}
	d.contents(&r.Record, flags)
	if d.err != nil {
		return nil, d.err
	}
	if flags&flagSameFinal != 0 {
		r.FinalURL = r.URL
	}
	if flags&flagSameHost != 0 {
		r.Host = storage.URLHost(r.URL)
	}
	return r, nil
}

// decoder takes values off the front of rest. After a failure it has nothing
// left and gives zeros.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) fail(reason string) {
	if d.err == nil {
		d.err = fmt.Errorf("%s, %d bytes before the end", reason, len(d.rest))
	}
	d.rest = nil
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.fail("cut short")
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.fail("bad number")
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) varint() int64 {
	n, size := binary.Varint(d.rest)
	if size <= 0 {
		d.fail("bad number")
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) int() int {
	n := d.varint()
	if n < math.MinInt || n > math.MaxInt {
		d.fail("number too large for this machine")
		return 0
	}
	return int(n)
}

func (d *decoder) time() time.Time {
	sec, nano := d.varint(), d.varint()
	if nano < 0 || nano >= int64(time.Second) {
		d.fail("bad time")
		return time.Time{}
	}
	return time.Unix(sec, nano).UTC()
}

// contents reads the sizes and bytes of those of r's string fields that a record with
// the flags has, of its head and of its data, which must be all that is left.
func (d *decoder) contents(r *storage.Record, flags byte) {
	var sizes [numTexts]uint64
	total, dataSize := uint64(0), uint64(0)
	for i := range numWritten(flags) {
		sizes[i] = d.uvarint()
		total += min(sizes[i], uint64(len(d.rest))+1) // cannot overflow
	}
	headSize := d.uvarint()
	if flags&flagData != 0 {
		dataSize = d.uvarint()
	}
	all := string(d.take(total))
	head, data := d.take(headSize), d.take(dataSize)
	if len(d.rest) > 0 {
		d.fail("trailing bytes")
	}
	if d.err != nil {
		return
	}
	for i, s := range texts(r) {
		*s, all = all[:sizes[i]], all[sizes[i]:]
	}
	if len(head) > 0 {
		r.Head = append([]byte(nil), head...)
	}
	if len(data) > 0 {
		r.Data = append([]byte(nil), data...)
	}
}

// counters are the store's counters as they are kept in its bucket.
type counters struct {
	storage.Stats
	indexed uint64 // records with an entry in urls: those with a Seq up to it
}

// lastSeq is the newest record's Seq; 0 when there is none.
func (c *counters) lastSeq() uint64 { return uint64(c.Records) }

func (c *counters) fields() []*int64 {
	all := []*int64{
		&c.Records, &c.Responses, &c.Truncated, &c.Items,
		&c.Bodies, &c.BodyBytes, &c.DecodedBytes, &c.WireBytes,
	}
	for i := range c.ByClass {
		all = append(all, &c.ByClass[i])
	}
	return all
}

func (c *counters) append(dst []byte) []byte {
	start := len(dst)
	for _, n := range c.fields() {
		dst = binary.AppendVarint(dst, *n)
	}
	dst = binary.AppendUvarint(dst, c.indexed)
	return binary.BigEndian.AppendUint32(dst, checksum(dst[start:]))
}

func decodeCounters(b []byte) (*counters, error) {
	payload, err := cutChecksum(b)
	if err != nil {
		return nil, err
	}
	c, d := &counters{}, decoder{rest: payload}
	for _, n := range c.fields() {
		*n = d.varint()
	}
	c.indexed = d.uvarint()
	if len(d.rest) > 0 {
		d.fail("trailing bytes")
	}
	if d.err == nil && (c.Records < 0 || c.indexed > c.lastSeq()) {
		d.fail("impossible counters")
	}
	return c, d.err
}

package storage

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound says that the store holds no such record or body.
	ErrNotFound = errors.New("not found")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrCorrupt is what every [*CorruptError] is.
	ErrCorrupt = errors.New("corrupt data")
	// ErrFormat is what every [*FormatError] is.
	ErrFormat = errors.New("unknown format version")
	// ErrLimit is what every [*LimitError] is.
	ErrLimit = errors.New("limit exceeded")
	// ErrInvalid says that a record is not one that can be stored: it has no
	// URL, or an item that is not JSON.
	ErrInvalid = errors.New("invalid record")
	// ErrBodySeq is the [ErrInvalid] of a record whose BodySeq names no earlier one of
	// its URL with a body.
	ErrBodySeq = fmt.Errorf("%w: no earlier record of its URL holds its body", ErrInvalid)
)

// CorruptError says that stored bytes are not what was written, or that parts
// which belong together disagree.
type CorruptError struct {
	Bucket string // where the bytes are
	Key    []byte // under which key; nil when the bucket as a whole is meant
	Seq    uint64 // of the one record that cannot be read for it; 0: it is more, or not known
	Reason string
}

func (e *CorruptError) Error() string {
	at := ""
	if e.Key != nil {
		at = fmt.Sprintf(" at key %.32x", e.Key) // a damaged one may be long
	}
	return fmt.Sprintf("corrupt data in %s%s: %s", e.Bucket, at, e.Reason)
}

// Is reports whether target is [ErrCorrupt].
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// FormatError says that data was written by another version of this module, and
// cannot be read.
type FormatError struct {
	What  string // what has the version, such as "boltstore"
	Have  uint64 // the version found
	Known uint64 // the newest version that can be read
}

func (e *FormatError) Error() string {
	if e.Have < e.Known {
		return fmt.Sprintf("%s has format version %d, and only %d can be read", e.What, e.Have, e.Known)
	}
	return fmt.Sprintf("%s has format version %d, newer than the known %d", e.What, e.Have, e.Known)
}

// Is reports whether target is [ErrFormat].
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// LimitError says that a part of a record is larger than [Limits] allow.
type LimitError struct {
	Field string // the field of Limits
	Size  int64
	Limit int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s of %d exceeds the limit of %d", e.Field, e.Size, e.Limit)
}

// Is reports whether target is [ErrLimit].
func (e *LimitError) Is(target error) bool { return target == ErrLimit }

// RecordError says which of the records given to [Store.Append] was refused
// and why: Err is a [*LimitError] or [ErrInvalid] with a detail.
type RecordError struct {
	Index int    // in the records given
	URL   string // of the record
	Err   error
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("record %d of the batch, %s: %v", e.Index, e.URL, e.Err)
}

func (e *RecordError) Unwrap() error { return e.Err }

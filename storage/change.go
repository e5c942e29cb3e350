package storage

import (
	"fmt"
	"slices"
)

// Change says what a revisit found, compared with what was known of the URL
// before.
type Change uint8

const (
	// ChangeNone: nothing to compare with, as in the first round of a crawl, or no
	// answer that tells whether the page is there.
	ChangeNone Change = iota
	// ChangeNew: a page that was not there before, or had gone.
	ChangeNew
	// ChangeChanged: another status, target or body.
	ChangeChanged
	// ChangeUnchanged: the same page, by the server's word (304) or by its digest,
	// or still gone.
	ChangeUnchanged
	// ChangeGone: a page that was there answers 404 or 410.
	ChangeGone

	numChanges
)

var changeNames = [numChanges]string{"", "new", "changed", "unchanged", "gone"}

// String returns the change in a word, "" for ChangeNone.
func (c Change) String() string {
	if !c.Valid() {
		return fmt.Sprintf("change %d", uint8(c))
	}
	return changeNames[c]
}

// Valid reports whether c is one of the constants.
func (c Change) Valid() bool { return c < numChanges }

// UnmarshalText reads what String returns.
func (c *Change) UnmarshalText(text []byte) error {
	i := slices.Index(changeNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("storage: %.20q is no change", text)
	}
	*c = Change(i)
	return nil
}

// MarshalText writes what String returns.
func (c Change) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

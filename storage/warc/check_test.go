package warc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// checkable makes a directory with an archive, and returns the archive's name.
func checkable(t *testing.T, opts FilesOptions) (dir, name string) {
	t.Helper()
	dir = t.TempDir()
	opts.Now = now
	opts.Host = "h"
	f, err := OpenFiles(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	chunked := exchange(2, "5\r\nhello\r\n0\r\n\r\n")
	chunked.Head = []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n")
	cut := exchange(3, "hel")
	cut.Truncated = TruncatedLength
	bare := exchange(5, "")
	bare.Head, bare.Body = nil, nil
	for _, x := range []*Exchange{exchange(1, "hello"), chunked, cut, exchange(4, "hello"), bare} {
		if err := f.Write(x); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, archives(t, dir)[1]
}

func TestCheckSound(t *testing.T) {
	for _, opts := range []FilesOptions{{}, {Options: Options{Uncompressed: true, SHA256: true}}} {
		dir, name := checkable(t, opts)
		if err := Check(t.Context(), dir); err != nil {
			t.Error(err)
		}
		// One that was left open is cut somewhere, perhaps.
		archive, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "x.warc"+openSuffix), archive[:len(archive)-30], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Check(t.Context(), dir); err != nil {
			t.Error(err)
		}
	}
	dir, _ := checkable(t, FilesOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Check(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := Check(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestCheckTorn tears the last records of an archive that was left open, as a power failure does, and those of a complete one: what
// the next run cuts off is no problem.
func TestCheckTorn(t *testing.T) {
	for _, uncompressed := range []bool{false, true} {
		t.Run(fmt.Sprint("uncompressed=", uncompressed), func(t *testing.T) {
			testCheckTorn(t, FilesOptions{Options: Options{Uncompressed: uncompressed}})
		})
	}
}

func testCheckTorn(t *testing.T, opts FilesOptions) {
	dir, name := checkable(t, opts)
	sound, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	open := t.TempDir()
	told := 0
	for at := 0; at+16 <= len(sound); at += 16 {
		torn := bytes.Clone(sound)
		clear(torn[at : at+16])
		if bytes.Equal(torn, sound) {
			continue
		}
		for path, archive := range map[string][]byte{
			filepath.Join(open, name+openSuffix): torn,
			filepath.Join(dir, name):             torn,
		} {
			if err := os.WriteFile(path, archive, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := Check(t.Context(), open); err != nil {
			t.Errorf("torn at %d: %v", at, err)
		}
		if _, err := OpenFiles(open, FilesOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := Check(t.Context(), open); err != nil {
			t.Errorf("torn at %d, and mended: %v", at, err)
		}
		_ = os.Remove(filepath.Join(open, name)) // there is none if nothing was whole
		_ = os.Remove(indexName(filepath.Join(open, name)))
		if err := Check(t.Context(), dir); err != nil && strings.Contains(err.Error(), "its block is not") {
			told++
		}
	}
	if told == 0 {
		t.Error("no torn block of a complete archive was told")
	}
}

// TestCheckFinds spoils archives and indexes.
func TestCheckFinds(t *testing.T) {
	replace := func(from, to string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(from), []byte(to), 1) }
	}
	for _, test := range []struct {
		name    string
		archive func([]byte) []byte // nil: as it is
		index   func([]byte) []byte // nil: as it is; returns nil: there is none
		want    string
	}{
		{"body", replace("\r\n\r\nhello\r\n\r\n", "\r\n\r\nhallo\r\n\r\n"), nil, "record at offset 450: its block is not that of sha1:"},
		{"payload digest", replace("WARC-Payload-Digest: sha1:", "WARC-Payload-Digest: sha1:A"), nil, "its payload is not that of sha1:A"},
		{"cut", func(b []byte) []byte { return b[:len(b)-3] }, nil, "cut short"},
		{"no date", replace("WARC-Date: ", "WARC-Dote: "), nil, "record at offset 0: no WARC-Date"},
		{"bad date", replace("WARC-Date: 2024", "WARC-Date: xxxx"), nil, `WARC-Date is "xxxx-`},
		{"garbage between", replace("WARC/1.1\r\nWARC-Type: request", "WARK/1.1\r\nWARC-Type: request"), nil, `version line "WARK/1.1"`},
		{"no index", nil, func([]byte) []byte { return nil }, "it has no index"},
		{"index line", nil, replace("\"length\":\"", "\"length\":\"1"), ".cdxj: from offset 0 on it is not the index of"},
		{"index too short", nil, func(b []byte) []byte { return b[:bytes.LastIndexByte(b[:len(b)-1], '\n')+1] }, "is not the index of"},
		{"index too long", nil, func(b []byte) []byte { return append(b, "x\n"...) }, "is not the index of"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, name := checkable(t, FilesOptions{Options: Options{Uncompressed: true}})
			for path, change := range map[string]func([]byte) []byte{name: test.archive, indexName(name): test.index} {
				if change == nil {
					continue
				}
				path = filepath.Join(dir, path)
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				changed := change(bytes.Clone(b))
				if bytes.Equal(changed, b) {
					t.Fatal("nothing was changed")
				}
				if err := os.WriteFile(path, changed, 0o600); err != nil {
					t.Fatal(err)
				}
				if changed == nil {
					os.Remove(path)
				}
			}
			err := Check(t.Context(), dir)
			var file *FileError
			if !errors.As(err, &file) || !strings.HasPrefix(err.Error(), dir) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// TestCheckChanges changes bytes of an archive: what is not noticed means nothing,
// such as the time of a gzip member.
func TestCheckChanges(t *testing.T) {
	dir, name := checkable(t, FilesOptions{})
	path := filepath.Join(dir, name)
	archive, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := readAll(t, bytes.NewReader(archive))
	noticed := 0
	for i := 0; i < len(archive); i += 5 {
		changed := bytes.Clone(archive)
		changed[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Check(t.Context(), dir); err != nil {
			noticed++
			continue
		}
		got := readAll(t, bytes.NewReader(changed))
		if !slices.EqualFunc(got, want, func(a, b read) bool { return a.block == b.block && slices.Equal(a.fields, b.fields) }) {
			t.Errorf("byte %d changed: nothing is noticed", i)
		}
	}
	if noticed < len(archive)/8 {
		t.Errorf("%d changes of %d are noticed", noticed, len(archive)/5)
	}
}

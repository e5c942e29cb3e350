package crawler

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
)

// FuzzControlRequest gives a crawler lines as clients may send them. Each has to
// be answered by a line that can be read again, with an error or what was asked
// for.
func FuzzControlRequest(f *testing.F) {
	for _, line := range []string{
		``, `{}`, `{"version":1}`, `{"version":1,"do":"status"}`, `{"version":1,"do":"pause"}`, `{"version":1,"do":"resume"}`,
		`{"version":1,"do":"stop","now":true}`, `{"version":1,"do":"add","urls":["example.org","x y",""]}`,
		`{"version":1,"do":"host","host":"example.org","change":{"delay_ns":5}}`, `{"version":1,"do":"host","host":"\u0000"}`,
		`{"version":1,"do":"host","host":"example.org","change":{"delay_ns":-9223372036854775808}}`,
	} {
		f.Add([]byte(line))
	}
	c, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	defer c.Close()
	f.Fuzz(func(t *testing.T, line []byte) {
		r, a := c.answerLine(line)
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > maxControlAnswer {
			t.Errorf("the answer has %d bytes", len(text))
		}
		var again controlAnswer
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatal(err)
		}
		if given := again.Status != nil || again.Host != nil || r.Do == "add"; given == (again.Error != nil) && r.Do != "add" {
			t.Errorf("%q is answered %s", line, text)
		}
	})
}

// FuzzControlLine reads lines from what a client sends, and compares with a
// split of all of it.
func FuzzControlLine(f *testing.F) {
	f.Add([]byte("one\ntwo\n"), 16)
	f.Add([]byte("one\ncut"), 4)
	f.Add(bytes.Repeat([]byte("x"), 100), 50)
	f.Fuzz(func(t *testing.T, sent []byte, most int) {
		in := bufio.NewReaderSize(bytes.NewReader(sent), 16)
		for rest := sent; ; {
			line, err := readControlLine(in, most)
			want, after, ended := bytes.Cut(rest, []byte("\n"))
			switch {
			case errors.Is(err, errLongLine):
				if len(want)+1 <= most && ended || len(want) <= most && !ended {
					t.Fatalf("%q is too long for %d", want, most)
				}
				return
			case ended:
				if err != nil || !bytes.Equal(line, want) {
					t.Fatalf("%q, %v, want %q", line, err, want)
				}
			case len(rest) == 0 && err == io.EOF, len(rest) > 0 && err == io.ErrUnexpectedEOF:
				return
			default:
				t.Fatalf("%v after %q", err, rest)
			}
			rest = after
		}
	})
}

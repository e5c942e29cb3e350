package httpclient

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// maxNetrc is the size up to which a file is taken for a netrc.
const maxNetrc = 1 << 20

// Netrc are credentials by host, as curl, ftp and others keep them in ~/.netrc:
//
//	machine example.org login somebody password secret
//	default login anonymous password guest
//
// Words are separated by white space, and may be in double quotes, with \n, \r, \t, \" and \\ in them. A # where a keyword
// is expected begins a comment; account and macdef are skipped. The first entry for a host counts. A Netrc is not
// changed after it was read, and may be used by many goroutines.
type Netrc struct {
	machines map[string]*BasicAuth // by lower-case host
	fallback *BasicAuth            // of "default"; nil: none
}

// LoadNetrc reads the file at path; "": that which NETRC names, or .netrc (on Windows _netrc) in the home directory, and
// if there is none at these places, the Netrc is empty.
func LoadNetrc(path string) (*Netrc, error) {
	named := path != ""
	if !named {
		if path = os.Getenv("NETRC"); path == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return &Netrc{}, nil //nolint:nilerr // no home, no file
			}
			name := ".netrc"
			if runtime.GOOS == "windows" {
				name = "_netrc"
			}
			path = filepath.Join(home, name)
		}
	}
	f, err := os.Open(path)
	if !named && errors.Is(err, fs.ErrNotExist) {
		return &Netrc{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n, err := ReadNetrc(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

// NetrcError is a fault in a netrc file. It does not quote the file.
type NetrcError struct {
	Line   int
	Reason string
}

func (e *NetrcError) Error() string {
	return fmt.Sprintf("httpclient: netrc: line %d: %s", e.Line, e.Reason)
}

// ReadNetrc reads a netrc file of at most a MiB. The error is a *[NetrcError], or r's.
func ReadNetrc(r io.Reader) (*Netrc, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxNetrc+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxNetrc {
		return nil, &NetrcError{Line: 1 + bytes.Count(b, []byte{'\n'}), Reason: "the file is too long"}
	}
	n := &Netrc{machines: map[string]*BasicAuth{}}
	in := netrcReader{rest: string(b), line: 1}
	entry := &BasicAuth{} // what stands before the first machine belongs to nobody
	for {
		word, ok, err := in.word()
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return n, nil
		case strings.HasPrefix(word, "#"):
			in.skipLine()
			continue
		}
		switch word {
		case "machine", "login", "user", "password", "account":
			var value string
			if value, err = in.value(word); err != nil {
				return nil, err
			}
			switch word {
			case "machine":
				entry = n.add(value)
			case "password":
				entry.Password = value
			case "login", "user":
				entry.Login = value
			}
		case "default":
			entry = &BasicAuth{Charset: "utf-8"}
			if n.fallback == nil {
				n.fallback = entry
			}
		case "macdef":
			if _, err := in.value(word); err != nil {
				return nil, err
			}
			in.skipMacro()
		default:
			return nil, &NetrcError{in.line, "unknown keyword"}
		}
	}
}

func (n *Netrc) add(host string) *BasicAuth {
	entry := &BasicAuth{Charset: "utf-8"}
	if host = strings.ToLower(host); n.machines[host] == nil {
		n.machines[host] = entry
	}
	return entry
}

// Auth returns the credentials for a host, or those of the entry "default"; nil if there are neither. They must not be
// changed.
func (n *Netrc) Auth(host string) *BasicAuth {
	if a := n.own(host); a != nil {
		return a
	}
	if n == nil {
		return nil
	}
	return n.fallback
}

// own returns the credentials of the host's own entry. n may be nil.
func (n *Netrc) own(host string) *BasicAuth {
	if n == nil {
		return nil
	}
	return n.machines[strings.ToLower(host)]
}

// netrcReader takes a netrc file apart.
type netrcReader struct {
	rest string
	line int
}

// word takes the next word; false at the end of the file.
func (r *netrcReader) word() (word string, ok bool, err error) {
	blank := len(r.rest) - len(strings.TrimLeft(r.rest, " \t\r\n\v\f"))
	r.line += strings.Count(r.rest[:blank], "\n")
	if r.rest = r.rest[blank:]; r.rest == "" {
		return "", false, nil
	}
	if r.rest[0] == '"' {
		return r.quoted()
	}
	end := strings.IndexAny(r.rest, " \t\r\n\v\f")
	if end < 0 {
		end = len(r.rest)
	}
	word, r.rest = r.rest[:end], r.rest[end:]
	return word, true, nil
}

// quoted takes a word in quotes, which does not go over the end of its line.
func (r *netrcReader) quoted() (string, bool, error) {
	var b strings.Builder
	for i := 1; i < len(r.rest); i++ {
		c := r.rest[i]
		switch {
		case c == '"':
			r.rest = r.rest[i+1:]
			return b.String(), true, nil
		case c == '\n':
			return "", false, &NetrcError{r.line, "a quote does not end"}
		case c == '\\' && i+1 < len(r.rest):
			i++
			switch c = r.rest[i]; c {
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case '\n':
				return "", false, &NetrcError{r.line, "a quote does not end"}
			}
		}
		b.WriteByte(c)
	}
	return "", false, &NetrcError{r.line, "a quote does not end"}
}

// value takes the word that a keyword needs.
func (r *netrcReader) value(keyword string) (string, error) {
	line := r.line
	v, ok, err := r.word()
	if err == nil && !ok {
		err = &NetrcError{line, "nothing follows " + keyword}
	}
	return v, err
}

func (r *netrcReader) skipLine() {
	if _, rest, ok := strings.Cut(r.rest, "\n"); ok {
		r.rest = rest
		r.line++
		return
	}
	r.rest = ""
}

// skipMacro goes on behind the empty line that ends a macro.
func (r *netrcReader) skipMacro() {
	r.skipLine()
	for r.rest != "" {
		empty := strings.HasPrefix(r.rest, "\n") || strings.HasPrefix(r.rest, "\r\n")
		r.skipLine()
		if empty {
			return
		}
	}
}

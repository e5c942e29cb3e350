package httpclient

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// The Netscape cookie file (cookies.txt), which curl, wget and browser add-ons
// read and write, has a cookie a line of seven fields with tabs between:
//
//	domain  subdomains  path  secure  expires  name  value
//
// subdomains and secure are TRUE or FALSE, expires is in seconds since 1970, 0 for
// cookies that end with the session, and a domain that starts with "#HttpOnly_"
// belongs to an HttpOnly cookie. Other lines that start with "#" are comments.

const (
	netscapeHeader = "# Netscape HTTP Cookie File\n"
	httpOnlyPrefix = "#HttpOnly_"
)

var errNetscapeLine = errors.New("not a line of a Netscape cookie file")

// SaveNetscape writes the cookies of the jar to w in the Netscape format, oldest
// first. The format has no place for shared cookies, for names and paths with a
// tab, for SameSite and for when a cookie was created: these are left out.
func (j *Jar) SaveNetscape(w io.Writer) error {
	bw := bufio.NewWriter(w)
	bw.WriteString(netscapeHeader) // a bufio.Writer keeps its first error for Flush
	var line []byte
	for _, e := range j.snapshot() {
		if e.Domain == "" || strings.Contains(e.Name, "\t") || strings.Contains(e.Path, "\t") {
			continue
		}
		line = appendNetscape(line[:0], e)
		bw.Write(line)
	}
	return bw.Flush()
}

func appendNetscape(b []byte, e *Entry) []byte {
	if e.HTTPOnly {
		b = append(b, httpOnlyPrefix...)
	}
	if !e.HostOnly {
		b = append(b, '.')
	}
	b = append(b, e.Domain...)
	b = appendFlag(append(b, '\t'), !e.HostOnly)
	b = append(append(b, '\t'), e.Path...)
	b = appendFlag(append(b, '\t'), e.Secure)
	var expires int64
	if !e.Expires.IsZero() {
		expires = e.Expires.Unix()
	}
	b = strconv.AppendInt(append(b, '\t'), expires, 10)
	b = append(append(b, '\t'), e.Name...)
	b = append(append(b, '\t'), e.Value...)
	return append(b, '\n')
}

func appendFlag(b []byte, flag bool) []byte {
	if flag {
		return append(b, "TRUE"...)
	}
	return append(b, "FALSE"...)
}

// LoadNetscape adds the cookies of a file in the Netscape format. Expired ones
// are left out; lines that are not of the format and cookies that the jar may not
// keep are refused and counted. A file without a single good line but with bad
// ones is an error, a *[JarFileError]; other errors are those of r.
func (j *Jar) LoadNetscape(r io.Reader) error {
	n, good, firstBad := 0, 0, 0
	err := eachLine(r, func(line []byte) error {
		n++
		text := strings.TrimRight(string(line), "\r")
		if isComment(text) {
			return nil
		}
		e, ok := parseNetscape(text)
		if ok {
			good++
			j.add(e)
			return nil
		}
		if firstBad == 0 {
			firstBad = n
		}
		j.refuse(RefusedMalformed)
		return nil
	})
	if err == nil && good == 0 && firstBad > 0 {
		err = &JarFileError{Line: firstBad, Err: errNetscapeLine}
	}
	return err
}

func isComment(line string) bool {
	return strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") && !strings.HasPrefix(line, httpOnlyPrefix)
}

func (j *Jar) refuse(r Refusal) {
	j.mu.Lock()
	j.stats.refused[r]++
	j.mu.Unlock()
}

func parseNetscape(line string) (*Entry, bool) {
	line, httpOnly := strings.CutPrefix(line, httpOnlyPrefix)
	f := strings.SplitN(line, "\t", 7)
	if len(f) == 6 {
		f = append(f, "") // curl leaves out the tab before an empty value
	}
	if len(f) != 7 || f[0] == "" || f[0] == "." {
		return nil, false
	}
	subdomains, ok1 := parseFlag(f[1])
	secure, ok2 := parseFlag(f[3])
	expires, err := strconv.ParseFloat(f[4], 64) // some tools write fractions
	if !ok1 || !ok2 || err != nil || expires > 1<<53 || expires < -1<<53 || expires != expires {
		return nil, false
	}
	domain, dotted := strings.CutPrefix(f[0], ".")
	e := &Entry{
		Domain: domain, Path: f[2], Name: f[5], Value: f[6],
		HostOnly: !subdomains && !dotted, Secure: secure, HTTPOnly: httpOnly,
	}
	if expires > 0 {
		e.Expires = time.Unix(int64(expires), 0)
	}
	return e, true
}

func parseFlag(s string) (flag, ok bool) {
	switch {
	case strings.EqualFold(s, "TRUE"):
		return true, true
	case strings.EqualFold(s, "FALSE"):
		return false, true
	}
	return false, false
}

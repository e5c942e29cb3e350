package httpclient

import "strings"

// challenge is one of WWW-Authenticate, RFC 9110 section 11.3.
type challenge struct {
	scheme string
	params map[string]string // by lower-case name; the first of a name counts
}

// parseChallenges reads the challenges of header fields. A comma separates challenges as well as parameters: what follows
// it is a parameter if a token and an equals sign come next. What cannot be read is skipped.
func parseChallenges(fields []string) (list []challenge) {
	for _, f := range fields {
		for f != "" {
			var c challenge
			if c, f = nextChallenge(f); c.scheme != "" {
				list = append(list, c)
			}
		}
	}
	return list
}

// nextChallenge takes a challenge from the front of s.
func nextChallenge(s string) (c challenge, rest string) {
	s = strings.TrimLeft(s, ", \t")
	n := tokenLen(s)
	if n == 0 {
		_, rest, _ = strings.Cut(s, ",") // nothing that can be read
		return c, rest
	}
	c = challenge{scheme: s[:n], params: map[string]string{}}
	for s = s[n:]; ; {
		s = strings.TrimLeft(s, ", \t")
		name, value, after, ok := nextAuthParam(s)
		if !ok {
			break
		}
		if _, twice := c.params[name]; !twice {
			c.params[name] = value
		}
		s = after
	}
	if !strings.HasPrefix(s, "=") && tokenLen(s) > 0 {
		return c, s
	}
	_, rest, _ = strings.Cut(s, ",") // after a token68 or a fault
	return c, rest
}

// parseAuthParams reads parameters alone, as of Authentication-Info.
func parseAuthParams(s string) map[string]string {
	c, _ := nextChallenge("x " + s)
	return c.params
}

// nextAuthParam takes name=value from the front of s.
func nextAuthParam(s string) (name, value, rest string, ok bool) {
	n := tokenLen(s)
	if n == 0 {
		return "", "", s, false
	}
	after := strings.TrimLeft(s[n:], " \t")
	if !strings.HasPrefix(after, "=") || strings.HasPrefix(after, "==") {
		return "", "", s, false
	}
	after = strings.TrimLeft(after[1:], " \t")
	name = strings.ToLower(s[:n])
	if strings.HasPrefix(after, `"`) {
		value, rest = unquote(after)
		return name, value, rest, true
	}
	end := strings.IndexAny(after, ", \t")
	if end < 0 {
		end = len(after)
	}
	return name, after[:end], after[end:], true
}

// tokenLen is the length of the token at the front of s.
func tokenLen(s string) int {
	for i := range len(s) {
		if !tokenChars[s[i]] {
			return i
		}
	}
	return len(s)
}

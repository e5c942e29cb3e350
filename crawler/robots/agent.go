package robots

import "strings"

// productToken returns the name that s begins with (RFC 9309, section 2.2.1). Digits, which the RFC does not foresee,
// are part of it: names like "MJ12bot" exist.
func productToken(s string) string {
	for i := range len(s) {
		if class[s[i]]&alnum == 0 && s[i] != '-' && s[i] != '_' {
			return s[:i]
		}
	}
	return s
}

// productTokens returns the names in a list of them, or the one that a User-Agent value begins with.
func productTokens(agent string) []string {
	if strings.ContainsAny(agent, "/()") { // a whole value, whose commas are prose
		agent, _, _ = strings.Cut(agent, ",")
	}
	var tokens []string
	for name := range strings.SplitSeq(agent, ",") {
		if token := productToken(strings.Trim(name, space)); token != "" {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

func containsFold(list []string, s string) bool {
	for _, t := range list {
		if strings.EqualFold(t, s) {
			return true
		}
	}
	return false
}

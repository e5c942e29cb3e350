package crawler

import "testing"

func TestMatchGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"a*b", "ab", true}, {"a*b", "axxb", true}, {"a*b", "a", false}, {"a*ba", "aba", true}, {"ab*ba", "aba", false},
		{"*", "", true}, {"**", "x", true}, {"*a*a*", "a", false}, {"*a*a*", "xaya", true},
	} {
		if got := matchGlob(tt.pattern, tt.text); got != tt.want {
			t.Errorf("%q, %q: %v", tt.pattern, tt.text, got)
		}
	}
}

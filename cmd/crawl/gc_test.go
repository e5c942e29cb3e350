package main

import "testing"

func TestGarbage(t *testing.T) {
	const mb = 1 << 20
	for _, test := range []struct {
		live, memory int64
		want         int
	}{
		{0, 192 * mb, 200},
		{30 * mb, 192 * mb, 200},
		{64 * mb, 192 * mb, 150}, // 160 MB in all
		{80 * mb, 192 * mb, 100},
		{120 * mb, 192 * mb, 50},
		{1000 * mb, 192 * mb, 50},
		{64 * mb, 1 * mb, 50},
		{1000 * mb, 6000 * mb, 200},
	} {
		if got := garbage(test.live, test.memory); got != test.want {
			t.Errorf("with %d MB alive of %d: %d %%, want %d %%", test.live/mb, test.memory/mb, got, test.want)
		}
	}
}

package frontier

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestStartNext(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const ms = time.Millisecond
	for _, test := range []struct {
		delay    time.Duration
		answered time.Duration // after at; < 0: not
		want     time.Duration // after at
	}{
		{time.Second, -1, 1050 * ms},
		{time.Second, 0, time.Second},
		{time.Second, 30 * ms, 1030 * ms},
		{time.Second, time.Minute, 1050 * ms},
		{10 * ms, -1, 20 * ms},
		{10 * ms, time.Minute, 20 * ms},
		{0, -1, 0},
		{0, time.Minute, 0},
	} {
		s := start{at: at}
		if test.answered >= 0 {
			s.answered = at.Add(test.answered)
		}
		if got := s.next(test.delay).Sub(at); got != test.want {
			t.Errorf("delay %v, answered after %v: next after %v, want %v", test.delay, test.answered, got, test.want)
		}
	}
	if next := (start{}).next(time.Hour); !next.IsZero() {
		t.Errorf("without a start the next is at %v, want any time", next)
	}
}

func TestConfig(t *testing.T) {
	for field, c := range map[string]Config{
		"Delay":     {Delay: -1},
		"MaxDelay":  {MaxDelay: -1},
		"PerHost":   {PerHost: -1},
		"Rate":      {Rate: math.NaN()},
		"LeaseSize": {LeaseSize: 65},
		"Front":     {Front: -1},
	} {
		_, err := New(nil, c)
		var wrong *ConfigError
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%+v: %v, want a ConfigError of %s", c, err, field)
		}
	}
}

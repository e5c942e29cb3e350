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

func TestSetDelay(t *testing.T) {
	const forEver = math.MaxInt64
	for _, test := range []struct {
		adaptive       Adaptive
		response, want time.Duration
	}{
		{Adaptive{}, time.Hour, time.Second},
		{Adaptive{Min: time.Minute}, time.Hour, time.Second}, // off, whatever else it says
		{Adaptive{Factor: 5}, 0, time.Second},
		{Adaptive{Factor: 5}, time.Second, 5 * time.Second},
		{Adaptive{Factor: 5, Min: 7 * time.Second}, time.Second, 7 * time.Second},
		{Adaptive{Factor: 5}, time.Hour, defaultMaxDelay},
		{Adaptive{Factor: 5, Max: time.Minute}, time.Hour, time.Minute},
		{Adaptive{Factor: 1e10, Max: forEver}, time.Hour, forEver},
		{Adaptive{Factor: math.MaxFloat64, Max: forEver}, forEver, forEver},
	} {
		c, err := Config{Adaptive: test.adaptive}.complete()
		if err != nil {
			t.Errorf("%+v: %v", test.adaptive, err)
		}
		h := host{policy: Policy{Delay: time.Second}, response: test.response}
		if h.setDelay(&c); h.delay != test.want {
			t.Errorf("%+v, answered after %v: delay %v, want %v", test.adaptive, test.response, h.delay, test.want)
		}
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
		"Adaptive":  {Adaptive: Adaptive{Factor: 1, Min: 2, Max: 1}},
	} {
		_, err := New(nil, c)
		var wrong *ConfigError
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%+v: %v, want a ConfigError of %s", c, err, field)
		}
	}
}

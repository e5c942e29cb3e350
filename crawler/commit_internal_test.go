package crawler

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"unsafe"

	"github.com/orbweaver/orbweaver/frontier"
)

// TestMinor: a change with anything but what join takes over is not minor, whatever fields there will be.
func TestMinor(t *testing.T) {
	taken := []string{"done", "again", "known", "tally", "weight"}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[change]()) {
		var ch change
		setField(t, reflect.ValueOf(&ch).Elem().FieldByIndex(f.Index))
		if minor := slices.Contains(taken, f.Name); ch.minor() != minor {
			t.Errorf("with %s, minor is %t", f.Name, !minor)
		}
	}
}

// setField gives an addressable value, be it an unexported field, another than its zero value.
func setField(t *testing.T, v reflect.Value) {
	t.Helper()
	reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem().Set(something(t, v.Type()))
}

// something is a value of a type that is not its zero value.
func something(t *testing.T, of reflect.Type) reflect.Value {
	t.Helper()
	switch of.Kind() {
	case reflect.Pointer:
		return reflect.New(of.Elem())
	case reflect.Slice:
		return reflect.MakeSlice(of, 1, 1)
	case reflect.String:
		return reflect.ValueOf("something")
	case reflect.Int, reflect.Int64:
		return reflect.ValueOf(1).Convert(of)
	case reflect.Func:
		return reflect.MakeFunc(of, func([]reflect.Value) []reflect.Value { return nil })
	case reflect.Chan:
		return reflect.ValueOf(make(chan error)).Convert(of)
	case reflect.Struct:
		v := reflect.New(of).Elem()
		setField(t, v.Field(0))
		return v
	}
	t.Fatal(errors.ErrUnsupported, of)
	return reflect.Value{}
}

func TestJoin(t *testing.T) {
	leased := func(url string) []frontier.Leased {
		return []frontier.Leased{{Request: frontier.Request{URL: url}}}
	}
	left := &change{done: leased("left"), again: []frontier.Request{{URL: "left"}}, weight: 2}
	left.tally.leftOut.add(ReasonRobots, 1)
	ch := &change{done: leased("page"), again: []frontier.Request{{URL: "page"}}, weight: 3}
	ch.tally.leftOut.add(ReasonRobots, 1)
	ch.tally.Fetched = 1
	ch.join(left)
	if len(ch.done) != 2 || ch.done[0].URL != "left" || ch.done[1].URL != "page" ||
		len(ch.again) != 2 || ch.again[0].URL != "left" || ch.again[1].URL != "page" ||
		ch.weight != 5 || ch.tally.Fetched != 1 || !slices.Equal(ch.tally.leftOut, few[Reason]{{ReasonRobots, 2}}) {
		t.Errorf("%+v", ch)
	}
}

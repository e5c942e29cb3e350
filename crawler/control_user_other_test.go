//go:build !linux

package crawler_test

import "errors"

func asNobody(func() error) error { return errors.New("not here") }

//go:build !linux

package crawler_test

func victim() {}

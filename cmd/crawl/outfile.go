package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeFile gives path the contents that write makes, all of them or, if there
// is an error, none: a file that exists stays as it was. What is no regular
// file, such as a pipe or /dev/stdout, is written to as it is. A new file gets
// the permissions in mode.
func writeFile(path string, mode os.FileMode, write func(io.Writer) error) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return writeDevice(path, write)
	}
	f, err := createBeside(path, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return f.Close()
}

// sameFile reports that two paths lead to one regular file, or would if they were
// written to. Devices may be written to twice.
func sameFile(a, b string) bool {
	infoA, err := os.Stat(a)
	if err != nil {
		return absolute(a) == absolute(b)
	}
	infoB, err := os.Stat(b)
	return err == nil && os.SameFile(infoA, infoB) && infoA.Mode().IsRegular()
}

func writeDevice(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// createBeside makes a new file in path's directory, with the permissions of the
// file at path if there is one.
func createBeside(path string, mode os.FileMode) (*os.File, error) {
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	dir, base := filepath.Split(path)
	for try := 0; ; try++ {
		name := filepath.Join(dir, fmt.Sprintf(".%s.%d.%d", base, os.Getpid(), try))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if bad, ok := errors.AsType[*fs.PathError](err); ok && !errors.Is(err, fs.ErrExist) {
			bad.Path = path // which the user has named
		}
		if err == nil || !errors.Is(err, fs.ErrExist) || try == 100 {
			return f, err
		}
	}
}

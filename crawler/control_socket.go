package crawler

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// longestSocket is the longest path that every system lets a socket have.
const longestSocket = 100

// listenControl makes the control socket of the job in dir, which the caller has
// locked: what is there already was left by a process that died, or came with a
// copy of the directory. Nobody but its owner can connect at any time: it is made
// in a directory of its own that is closed to others, and moved into place when
// its mode is set.
func listenControl(dir string) (l *net.UnixListener, err error) {
	room := filepath.Join(dir, controlNewName)
	if err := os.RemoveAll(room); err != nil {
		return nil, err
	}
	if err := os.Mkdir(room, 0o700); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(room)) }()
	made := filepath.Join(room, controlName)
	address, release, err := socketAddress(made)
	if err != nil {
		return nil, err
	}
	defer release()
	l, err = net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it moves
	err = os.Chmod(made, 0o600)
	if err == nil {
		err = os.Rename(made, filepath.Join(dir, controlName))
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// socketAddress is a name for the socket at path that is short enough for the
// system. It is good until release is called.
func socketAddress(path string) (address string, release func(), err error) {
	if len(path) <= longestSocket {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	address = filepath.Join(descriptorDir, fmt.Sprint(dir.Fd()), filepath.Base(path))
	if _, err := os.Stat(filepath.Dir(address)); descriptorDir == "" || err != nil {
		_ = dir.Close()
		return "", nil, fmt.Errorf("the path %s is too long for a socket", path)
	}
	return address, func() { _ = dir.Close() }, nil
}

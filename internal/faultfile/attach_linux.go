package faultfile

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attachEnv is the variable with the number of the socket to the test.
const attachEnv = "FAULTFILE_SOCKET"

// Attach puts the process that Start started under the test's control. In other processes it does nothing. It comes before
// anything else: all threads there are then, and those made later, are watched.
func Attach() error {
	number := os.Getenv(attachEnv)
	if number == "" {
		return nil
	}
	if err := os.Unsetenv(attachEnv); err != nil { // not for children of our own
		return err
	}
	socket, err := strconv.Atoi(number)
	if err != nil {
		return fmt.Errorf("faultfile: %s: %w", attachEnv, err)
	}
	listener, err := filter()
	if err != nil {
		return fmt.Errorf("faultfile: watch system calls: %w", err)
	}
	defer unix.Close(listener)
	defer unix.Close(socket)
	return unix.Sendmsg(socket, []byte{0}, unix.UnixRights(listener), nil, 0)
}

// filter has the kernel ask about the calls of all threads, and returns where its questions are read.
func filter() (listener int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, err
	}
	const nrOffset = 0 // of the number in struct seccomp_data
	calls := []uint32{unix.SYS_PWRITE64, unix.SYS_FTRUNCATE, unix.SYS_FSYNC, unix.SYS_FDATASYNC}
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: nrOffset}}
	for i, nr := range calls {
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jt: uint8(len(calls) - i)})
	}
	program = append(program,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
	)
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	flags := unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	// Without the last flag, which Linux has since 5.19, a signal interrupts the call that waits for its answer, and it is asked about
	// again; the runtime sends many.
	for _, more := range []int{unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, 0} {
		fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags|more), uintptr(unsafe.Pointer(&prog)))
		if errno == 0 {
			return int(fd), nil
		}
		err = errno
	}
	return -1, err
}

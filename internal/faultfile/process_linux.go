package faultfile

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Verdict is what becomes of a call.
type Verdict struct {
	kill  bool
	errno syscall.Errno
	short bool
}

// Proceed lets the call happen, Kill kills the process before it does.
var (
	Proceed = Verdict{}
	Kill    = Verdict{kill: true}
)

// Fail makes the call fail with errno; nothing of it happens.
func Fail(errno syscall.Errno) Verdict { return Verdict{errno: errno} }

// FailShort writes the first half of a Write and says so, as a disk does that becomes full meanwhile: the program will try to write
// the rest. Other calls fail with errno.
func FailShort(errno syscall.Errno) Verdict { return Verdict{errno: errno, short: true} }

// Process is a child under test.
type Process struct {
	cmd     *exec.Cmd
	disk    *Disk
	decide  func(n int, op Op) Verdict
	killed  bool
	ops     int
	watched chan error
}

// Start starts cmd, whose program calls Attach, and asks decide about each of its calls on the disk's files, n counting them from 1.
// decide runs in a goroutine of its own; the process waits for it.
func Start(cmd *exec.Cmd, disk *Disk, decide func(n int, op Op) Verdict) (*Process, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("faultfile: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	cmd.ExtraFiles = append(cmd.ExtraFiles, theirs)
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, attachEnv+"="+strconv.Itoa(2+len(cmd.ExtraFiles)))
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return nil, err
	}
	listener, err := receiveFile(ours)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("faultfile: the child did not attach: %w", err), cmd.Process.Kill(), ignore(cmd.Wait()))
	}
	p := &Process{cmd: cmd, disk: disk, decide: decide, watched: make(chan error, 1)}
	go func() { p.watched <- p.watch(listener) }()
	return p, nil
}

func ignore(error) error { return nil }

// Wait waits for the end of the process, as exec.Cmd's Wait. Killed tells whether it was decide that ended it. What the process
// has written to a pipe of cmd must have been read before.
func (p *Process) Wait() (killed bool, err error) {
	watched := <-p.watched
	err = p.cmd.Wait()
	if watched == nil {
		watched = p.disk.settle()
	}
	if watched != nil {
		return p.killed, fmt.Errorf("faultfile: %w", watched)
	}
	if p.killed {
		return true, nil
	}
	return false, err
}

// Ops is the number of calls so far; only after Wait.
func (p *Process) Ops() int { return p.ops }

// watch answers the kernel's questions until the process is dead.
func (p *Process) watch(listener int) error {
	defer unix.Close(listener)
	for {
		fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil {
			if err == unix.EINTR {
				continue
			}
			return err
		}
		if fds[0].Revents&unix.POLLIN == 0 {
			return nil // no thread of the process is left
		}
		var q question
		switch err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&q)); err {
		case nil:
		case unix.EINTR, unix.ENOENT: // the caller is gone
			continue
		default:
			return err
		}
		if p.killed {
			continue // another of its threads, which dies without an answer
		}
		if err := p.answer(listener, &q); err != nil && q.waits(listener) {
			return errors.Join(err, p.cmd.Process.Kill())
		}
	}
}

func (p *Process) answer(listener int, q *question) error {
	a := answer{id: q.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	op, name, err := p.opOf(q)
	if err != nil {
		return err
	}
	if !p.disk.has(name) {
		_, err := a.send(listener)
		return err
	}
	f, err := p.disk.reach(fdOf(q), name)
	if err != nil {
		return err
	}
	p.ops++
	v := p.decide(p.ops, op)
	switch {
	case v.kill:
		p.killed = true
		return p.cmd.Process.Kill()
	case v.short && op.Kind == Write && op.Length > 1:
		op.Length /= 2
		if err := p.copyHalf(q, name, op); err != nil {
			return err
		}
		a.flags, a.value = 0, int64(op.Length)
		f.open = &op
	case v.errno != 0:
		a.flags, a.errno = 0, -int32(v.errno)
		if op.Kind == Sync {
			f.failSync()
		}
	default:
		f.open = &op
	}
	sent, err := a.send(listener)
	if !sent {
		f.open = nil // it does not happen
	}
	return err
}

// fdOf is where the file of a call is found.
func fdOf(q *question) string { return fmt.Sprintf("/proc/%d/fd/%d", q.pid, int32(q.args[0])) }

// opOf tells what a call does, and to which file; "" if there is none.
func (p *Process) opOf(q *question) (op Op, name string, err error) {
	name, err = os.Readlink(fdOf(q))
	if errors.Is(err, os.ErrNotExist) {
		return op, "", nil // a bad descriptor, or the caller is gone
	}
	if err != nil {
		return op, "", err
	}
	switch q.nr {
	case unix.SYS_PWRITE64:
		op = Op{Kind: Write, Offset: int64(q.args[3]), Length: int(q.args[2])}
	case unix.SYS_FTRUNCATE:
		op = Op{Kind: Truncate, Offset: int64(q.args[1])}
	default:
		op = Op{Kind: Sync}
	}
	op.Name = name
	return op, name, nil
}

// copyHalf does what is left of a write that is cut short.
func (p *Process) copyHalf(q *question, name string, op Op) error {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", q.pid))
	if err != nil {
		return err
	}
	defer memory.Close()
	data := make([]byte, op.Length)
	if _, err := memory.ReadAt(data, int64(q.args[1])); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(data, op.Offset)
	return errors.Join(err, file.Close())
}

// question is struct seccomp_notif.
type question struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	at         uint64
	args       [6]uint64
}

// waits reports whether the caller is there still, and waits for its answer: until then its files are to be found too.
func (q *question) waits(listener int) bool {
	return ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&q.id)) == nil
}

// answer is struct seccomp_notif_resp.
type answer struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// send reports whether there was somebody to take it.
func (a *answer) send(listener int) (bool, error) {
	err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(a))
	if err == unix.ENOENT { // the caller is gone
		return false, nil
	}
	return err == nil, err
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// receiveFile takes a descriptor out of a socket.
func receiveFile(socket *os.File) (int, error) {
	data, control := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(socket.Fd()), data, control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil {
		return -1, err
	}
	if len(messages) == 0 {
		return -1, errors.New("it ended, or sent nothing")
	}
	files, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return -1, err
	}
	return files[0], nil
}

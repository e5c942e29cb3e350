// Package faultfile lets a test stand between a program and its disk: a child process runs with every write, truncation
// and sync of a file, or of all in a directory, reported to the test, which lets it happen, makes it fail as a full or broken disk would, or kills the
// process instead. The calls are the real system calls of the real program, so what is tested is what runs.
//
// The child calls Attach first thing in its main or TestMain. The test starts it with Start and is asked about each call:
//
//	disk, err := faultfile.OpenDisk(path)
//	...
//	p, err := faultfile.Start(cmd, disk, func(n int, op faultfile.Op) faultfile.Verdict {
//		if n == 17 {
//			return faultfile.Kill
//		}
//		return faultfile.Proceed
//	})
//	...
//	err = p.Wait()
//	err = disk.LosePower(random)
//
// # What a crash leaves
//
// A killed process leaves the file as the system has it: all calls before the kill have happened. When the power fails,
// only what was synced is sure to be there. A Disk keeps each file's content as of the last sync that returned, and all
// that was done since; LosePower puts the files into a state that such an end may leave: the synced content, with any of the later
// writes whole, in some of their 512-byte sectors, or not at all, in any order across sectors, and with the later
// lengths or without. A sector is written whole or not at all, as disks promise.
//
// # How
//
// The child installs a seccomp filter with user notification for pwrite64, ftruncate, fsync and fdatasync, and hands its
// listener to the test over a socket; the kernel stops each such call until the test has answered. It takes Linux 5.8 on
// amd64 or arm64, and neither root nor ptrace.
package faultfile

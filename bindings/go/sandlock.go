// Package sandlock runs programs that are not trusted under libsandlock: confined by Landlock, seccomp-bpf and seccomp user
// notification, without privileges.
//
// A Policy says what a program may do; a Cmd, which has the face of os/exec, runs it; a Result says how it ended. A Supervisor
// answers system calls of programs by functions of Go. What each rule, limit, flag and feature means is said in the library's
// manual, the header sandlock.h; this package says what is particular to Go.
//
// Everything may be used from any goroutine, concurrently, but a Cmd and a Call. No goroutine needs to be locked to its thread:
// the library keeps nothing by thread, and a sandbox lives on when the thread ends that has started it. A goroutine that waits
// for a sandbox occupies a thread, as one does that waits for a process of os/exec.
package sandlock

// #cgo pkg-config: sandlock
// #include "bridge.h"
import "C"

import (
	"runtime"
	"syscall"
)

// Version gives the version of the library that is running: "0.1.0".
func Version() string {
	return C.GoString(C.sandlock_version_string())
}

// VersionNumber gives the same as a number: major * 1000000 + minor * 1000 + patch. HeaderVersionNumber is the one that this
// package was built with.
func VersionNumber() uint32 {
	return uint32(C.sandlock_version_number())
}

// HeaderVersionNumber is the version of the header that this package was built with.
const HeaderVersionNumber uint32 = C.SANDLOCK_VERSION_NUMBER

// Capabilities are what the kernel offers.
type Capabilities struct {
	LandlockABI         uint32        // 0 if Landlock is not to be had,
	LandlockErrno       syscall.Errno // and why
	SeccompFilter       bool
	SeccompNotify       bool
	CloseRange          bool
	ProcessLimit        bool
	NotifyWaitKillable  bool
	NotifySyncWakeUp    bool
	NotifyAddFD         bool
	NotifyAddFDSend     bool
	UserNamespaces      bool
	UserNamespacesErrno syscall.Errno // why they are not to be had
}

// Probe asks the kernel what it offers.
func Probe() (Capabilities, error) {
	var c C.sandlock_capabilities
	var cerr *C.sandlock_error
	c.size = C.sizeof_sandlock_capabilities
	if err := failure(C.sandlock_probe(&c, &cerr), cerr); err != nil {
		return Capabilities{}, err
	}
	return Capabilities{
		LandlockABI:         uint32(c.landlock_abi),
		LandlockErrno:       syscall.Errno(c.landlock_errno),
		SeccompFilter:       c.seccomp_filter != 0,
		SeccompNotify:       c.seccomp_notify != 0,
		CloseRange:          c.close_range != 0,
		ProcessLimit:        c.process_limit != 0,
		NotifyWaitKillable:  c.notify_wait_killable != 0,
		NotifySyncWakeUp:    c.notify_sync_wake_up != 0,
		NotifyAddFD:         c.notify_addfd != 0,
		NotifyAddFDSend:     c.notify_addfd_send != 0,
		UserNamespaces:      c.user_namespaces != 0,
		UserNamespacesErrno: syscall.Errno(c.user_namespaces_errno),
	}, nil
}

// ConfineThread confines the calling goroutine for good, by locking it to its thread and confining that: other goroutines are
// not. The thread ends with the goroutine, and no other ever runs on it. Limits hold for the whole process. After an error some of
// it may have taken effect: end the goroutine then, too. To reach the whole process, FlagAllThreads must be had (see the manual).
func ConfineThread(policy *Policy) error {
	runtime.LockOSThread() // and never unlocked
	return policy.read(func(c *C.sandlock_policy) error {
		var cerr *C.sandlock_error
		return failure(C.sandlock_confine_self(c, &cerr), cerr)
	})
}

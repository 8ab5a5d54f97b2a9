package sandlock

// #include "bridge.h"
import "C"

import (
	"syscall"
	"time"
)

// An Event is something that has happened in a sandbox.
type Event struct {
	Kind        EventKind
	Pid         int       // of the thread, or of EventExit the process; 0 if it cannot be told
	Time        time.Time // when it was noticed
	Syscall     int       // -1 if there is none
	SyscallName string
	Errno       syscall.Errno  // that the call fails with
	Path        string         // that the call names
	Advisory    bool           // Path and Arguments are to be told, not to decide by
	Arguments   []string       // of the executed program
	ExitCode    int            // of a process that has exited; -1 otherwise
	Signal      syscall.Signal // that has ended a process
	Text        string         // what was decided by which rule
}

func goEvent(c *C.sandlock_event) Event {
	event := Event{
		Kind:        EventKind(C.sandlock_event_kind(c)),
		Pid:         int(C.sandlock_event_pid(c)),
		Time:        time.Unix(0, int64(C.sandlock_event_time_ns(c))),
		Syscall:     int(C.sandlock_event_syscall(c)),
		SyscallName: C.GoString(C.sandlock_event_syscall_name(c)),
		Errno:       syscall.Errno(C.sandlock_event_errno(c)),
		Path:        C.GoString(C.sandlock_event_path(c)),
		Advisory:    bool(C.sandlock_event_advisory(c)),
		ExitCode:    int(C.sandlock_event_exit_code(c)),
		Signal:      syscall.Signal(C.sandlock_event_signal(c)),
		Text:        C.GoString(C.sandlock_event_text(c)),
	}
	for i := C.size_t(0); i < C.sandlock_event_argument_count(c); i++ {
		event.Arguments = append(event.Arguments, C.GoString(C.sandlock_event_argument(c, i)))
	}
	return event
}

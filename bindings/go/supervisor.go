package sandlock

// #include "bridge.h"
import "C"

import (
	"bufio"
	"context"
	"errors"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// A Supervisor answers system calls of programs, by functions and by a queue. It can narrow a policy and put something else
// behind its calls; it cannot widen it. One can serve many programs.
//
// Close it when no more programs are started with it; sandboxes that run keep its handlers until they end.
type Supervisor struct {
	handle   shared
	closing  chan struct{}
	panicked func(value any, stack []byte)
}

// SupervisorOptions say how a supervisor works; the zero value is the default.
type SupervisorOptions struct {
	// Deadline is how long a handler may look at a call; then it is denied. 0 is 30 seconds.
	Deadline time.Duration
	// Panicked, if not nil, is told of panics in handlers, observers and logs, which are recovered.
	Panicked func(value any, stack []byte)
}

// A HandlerFunc looks at a call and answers it, by the methods of Call, passes it on, or defers it. A call that it leaves
// unanswered is denied; so is one in which it panics. It runs on a thread of the library, several at a time; the caller waits.
// It must not end its goroutine (runtime.Goexit, and so testing.T's Fatal): that ends the host.
type HandlerFunc func(call *Call)

// Stats are what a supervisor has done; see sandlock_stats.
type Stats struct {
	Received, Continued, Denied, Returned, Killed, Overdue, Failed, Dropped, Deferred, Queued uint64
	WorstLatency                                                                              time.Duration
	EventsLost                                                                                uint64
}

// NewSupervisor makes a supervisor without handlers. options may be nil.
func NewSupervisor(options *SupervisorOptions) (*Supervisor, error) {
	sweep()
	s := &Supervisor{closing: make(chan struct{})}
	var c *C.sandlock_supervisor
	var cerr *C.sandlock_error
	var given C.sandlock_supervisor_options
	given.size = C.sizeof_sandlock_supervisor_options
	if options != nil {
		ms := milliseconds(options.Deadline)
		if options.Deadline < 0 || ms > 1<<32-1 {
			return nil, invalid("a deadline of %v", options.Deadline)
		}
		given.deadline_ms = C.uint32_t(ms)
		s.panicked = options.Panicked
	}
	if err := failure(C.sandlock_supervisor_new(&given, &c, &cerr), cerr); err != nil {
		return nil, err
	}
	s.handle.what = "supervisor"
	s.handle.c = unsafe.Pointer(c)
	s.handle.free = func(c unsafe.Pointer) { C.sandlock_supervisor_free((*C.sandlock_supervisor)(c)) }
	runtime.SetFinalizer(s, func(s *Supervisor) { closeLater(s) })
	return s, nil
}

func (s *Supervisor) with(call func(c *C.sandlock_supervisor, cerr **C.sandlock_error) C.sandlock_status) error {
	c, err := s.handle.use()
	if err != nil {
		return err
	}
	defer s.handle.done()
	var cerr *C.sandlock_error
	return failure(call((*C.sandlock_supervisor)(c), &cerr), cerr)
}

// handler is what a HandlerFunc or an observer needs when it is called. It does not hold the Supervisor, which would never be
// finalized then.
type handler struct {
	call     HandlerFunc
	observe  func(Event)
	panicked func(value any, stack []byte)
}

// function makes a function of Go known to C, which says when it is needed no more: see sweep.
func (s *Supervisor) function(h *handler) *C.go_function {
	h.panicked = s.panicked
	function := (*C.go_function)(C.malloc(C.sizeof_go_function))
	function.handle = makeKnown(h)
	function.next = nil
	return function
}

// sweep forgets functions that the library needs no more. Whoever makes or closes a supervisor, or ends a run with one, does it.
func sweep() {
	for at := C.go_take_unneeded(); at != nil; {
		next := at.next
		forget(at.handle)
		C.free(unsafe.Pointer(at))
		at = next
	}
}

// Handle has a function look at the calls that syscall names: a system call ("openat") or a group ("@file-system"). Handlers
// look at a call in the order in which they were added. Sandboxes that run already do not get to know a new one.
func (s *Supervisor) Handle(syscall string, function HandlerFunc) error {
	if function == nil {
		return invalid("the handler is nil")
	}
	return s.add(syscall, func() *C.go_function { return s.function(&handler{call: function}) })
}

// Queue puts the calls that syscall names into the supervisor's queue, for Next.
func (s *Supervisor) Queue(syscall string) error {
	return s.add(syscall, func() *C.go_function { return nil })
}

func (s *Supervisor) add(syscall string, function func() *C.go_function) error {
	name, err := cString(syscall)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(name))
	return s.with(func(c *C.sandlock_supervisor, cerr **C.sandlock_error) C.sandlock_status {
		return C.go_add_handler(c, name, function(), cerr) // which owns it, whatever it gives
	})
}

// Observe has a function told of events of the kinds in mask, one at a time, in sandboxes that are started from now on.
func (s *Supervisor) Observe(mask EventKind, observer func(Event)) error {
	if observer == nil {
		return invalid("the observer is nil")
	}
	return s.with(func(c *C.sandlock_supervisor, cerr **C.sandlock_error) C.sandlock_status {
		return C.go_observe(c, C.uint64_t(mask), s.function(&handler{observe: observer}), cerr)
	})
}

// SetLog has the library say what goes wrong in the supervisor, to a function that a goroutine calls, one line at a time. If the
// function is slow, lines are lost. nil takes the former one away.
func (s *Supervisor) SetLog(log func(level LogLevel, message string)) error {
	if log == nil {
		return s.with(func(c *C.sandlock_supervisor, cerr **C.sandlock_error) C.sandlock_status {
			return C.go_set_log(c, -1, cerr)
		})
	}
	lines, child, err := newPipe(hostReads)
	if err != nil {
		return err
	}
	syscall.SetNonblock(child, true)
	used := false
	err = s.with(func(c *C.sandlock_supervisor, cerr **C.sandlock_error) C.sandlock_status {
		used = true
		return C.go_set_log(c, C.int(child), cerr) // which closes it, whatever it gives
	})
	if !used {
		syscall.Close(child)
	}
	if err != nil {
		lines.Close()
		return err
	}
	go readLog(lines, log, s.panicked)
	return nil
}

// readLog ends when the library has let go of the other end.
func readLog(lines *os.File, log func(LogLevel, string), panicked func(any, []byte)) {
	defer lines.Close()
	for scanner := bufio.NewScanner(lines); scanner.Scan(); {
		if line := scanner.Text(); len(line) > 2 {
			func() {
				defer recovered(panicked)
				log(LogLevel(line[0]-'0'), line[2:])
			}()
		}
	}
}

// Next takes the next call from the queue, waiting for it until ctx is done, or the supervisor closed.
func (s *Supervisor) Next(ctx context.Context) (*Pending, error) {
	pending, err := s.take()
	if !errors.Is(err, StatusTimeout) {
		return pending, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	ready, err := s.ready()
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	raw, err := ready.SyscallConn()
	if err != nil {
		return nil, err
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-ctx.Done():
		case <-s.closing:
		case <-stop:
		}
		ready.SetReadDeadline(time.Unix(1, 0))
	}()
	// The descriptor is only waited for: what makes it unreadable is taking the last call.
	waitErr := raw.Read(func(uintptr) bool {
		pending, err = s.take()
		return !errors.Is(err, StatusTimeout)
	})
	close(stop)
	<-stopped
	if waitErr == nil {
		return pending, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, closed("supervisor")
}

// ready gives a descriptor of its own that is readable while the queue has something.
func (s *Supervisor) ready() (*os.File, error) {
	c, err := s.handle.use()
	if err != nil {
		return nil, err
	}
	defer s.handle.done()
	fd, err := duplicate(int(C.sandlock_supervisor_fd((*C.sandlock_supervisor)(c))))
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "queue"), nil
}

// take gives a call from the queue, or an error of StatusTimeout.
func (s *Supervisor) take() (*Pending, error) {
	var c *C.sandlock_pending
	err := s.with(func(supervisor *C.sandlock_supervisor, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_supervisor_next(supervisor, 0, &c, cerr)
	})
	if err != nil {
		return nil, err
	}
	return ownPending(C.uintptr_t(uintptr(unsafe.Pointer(c)))), nil
}

// Stats says what the supervisor has done so far.
func (s *Supervisor) Stats() (Stats, error) {
	var stats C.sandlock_stats
	stats.size = C.sizeof_sandlock_stats
	err := s.with(func(c *C.sandlock_supervisor, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_supervisor_stats(c, &stats, cerr)
	})
	return goStats(&stats), err
}

func goStats(c *C.sandlock_stats) Stats {
	return Stats{
		Received:     uint64(c.received),
		Continued:    uint64(c.continued),
		Denied:       uint64(c.denied),
		Returned:     uint64(c.returned),
		Killed:       uint64(c.killed),
		Overdue:      uint64(c.overdue),
		Failed:       uint64(c.failed),
		Dropped:      uint64(c.dropped),
		Deferred:     uint64(c.deferred),
		Queued:       uint64(c.queued),
		WorstLatency: microseconds(c.worst_latency_us),
		EventsLost:   uint64(c.events_lost),
	}
}

// Trace has sandboxes that are started from now on traced, for Suggest.
func (s *Supervisor) Trace() error {
	return s.with(func(c *C.sandlock_supervisor, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_supervisor_trace(c, cerr)
	})
}

// Suggest gives what traced programs have lacked so far, as policy calls in C, one to a line, and how many they are. Read before
// you allow.
func (s *Supervisor) Suggest() (string, int, error) {
	var c *C.sandlock_suggestions
	err := s.with(func(supervisor *C.sandlock_supervisor, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_trace_suggest(supervisor, &c, cerr)
	})
	if err != nil {
		return "", 0, err
	}
	defer C.sandlock_suggestions_free(c)
	return C.GoString(C.sandlock_suggestions_text(c)), int(C.sandlock_suggestions_count(c)), nil
}

// Close frees the supervisor: calls in its queue are denied. Handlers stay until the sandboxes end that it serves.
func (s *Supervisor) Close() error {
	if _, err := s.handle.use(); err != nil {
		return nil
	}
	if s.handle.close() {
		close(s.closing)
		runtime.SetFinalizer(s, nil)
	}
	s.handle.done()
	sweep()
	return nil
}

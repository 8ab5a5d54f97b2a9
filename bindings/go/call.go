package sandlock

// #include "bridge.h"
import "C"

import (
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

// A Call is a system call that a handler looks at. It is the handler's until that returns, and its goroutine's alone; to answer
// later, or elsewhere, use Defer.
type Call struct {
	trapped
	passed bool
}

// A Pending is a system call that was deferred or came from the queue: the right to answer it, from any goroutine, whenever it
// suits. Of several answers the first counts. One that is closed, or lost, without an answer is denied.
type Pending struct {
	trapped
}

// trapped is what both have in common. Its lock is for who uses a call that is gone.
type trapped struct {
	mu sync.Mutex
	c  C.go_call
}

func (t *trapped) gone() bool { return t.c.now == 0 && t.c.later == 0 }

func (t *trapped) answer(give func(c C.go_call, cerr **C.sandlock_error) C.sandlock_status) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone() {
		return closed("call")
	}
	var cerr *C.sandlock_error
	return failure(give(t.c, &cerr), cerr)
}

// give is answer for what a program waits for most often. The error comes by value, so that nothing is allocated for it.
func (t *trapped) give(give func(c C.go_call) C.go_given) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone() {
		return closed("call")
	}
	given := give(t.c)
	return failure(given.status, given.error)
}

// Pass leaves the call to the next handler; one that all leave runs.
func (c *Call) Pass() { c.passed = true }

// Defer puts the answer off. The Call is of no more use.
func (c *Call) Defer() (*Pending, error) {
	var later C.uintptr_t
	err := c.answer(func(call C.go_call, cerr **C.sandlock_error) C.sandlock_status {
		return C.go_call_defer(call, &later, cerr)
	})
	if err != nil {
		return nil, err
	}
	return ownPending(later), nil
}

// expire takes the call away from whoever has kept it.
func (c *Call) expire() {
	c.mu.Lock()
	c.c = C.go_call{}
	c.mu.Unlock()
}

func ownPending(c C.uintptr_t) *Pending {
	p := &Pending{trapped{c: C.go_call{later: c}}}
	runtime.SetFinalizer(p, func(p *Pending) { p.Close() })
	return p
}

// Close gives the call up: if it was not answered, it is denied with EPERM.
func (p *Pending) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	C.go_call_free(p.c)
	p.c.later = 0
	runtime.SetFinalizer(p, nil)
	return nil
}

// Syscall gives the number of the system call; -1 if the call is gone.
func (t *trapped) Syscall() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int(C.go_call_syscall(t.c))
}

// Name gives the system call's name; "unknown" if it has none, or the call is gone.
func (t *trapped) Name() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return C.GoString(C.go_call_syscall_name(t.c))
}

// Arg gives an argument, 0 to 5, as it was in the register: an int has rubbish in its upper half.
func (t *trapped) Arg(index int) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if index < 0 || index > 5 {
		return 0
	}
	return uint64(C.go_call_arg(t.c, C.uint32_t(index)))
}

// Pid gives the thread that calls, as the host numbers it; 0 if it has no number, or the call is gone.
func (t *trapped) Pid() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int(C.go_call_pid(t.c))
}

// Read reads the caller's memory at address into buffer, as far as it can be read, and says how many bytes. Another thread of the
// program can change that memory: decide by what was read, and act on nothing else.
func (t *trapped) Read(address uint64, buffer []byte) (int, error) {
	if len(buffer) == 0 {
		return 0, nil
	}
	var length C.size_t
	err := t.answer(func(c C.go_call, cerr **C.sandlock_error) C.sandlock_status {
		return C.go_call_read(c, C.uint64_t(address), unsafe.Pointer(&buffer[0]), C.size_t(len(buffer)), &length, cerr)
	})
	return int(length), err
}

// mostInString is the largest limit of ReadString: a program may have chosen it, and Go ends a host that asks for too much memory.
const mostInString = 16 << 20

// ReadString reads a string of the caller's memory that has less than limit bytes, which are 16 MiB at most; StatusBufferTooSmall if
// it has more.
func (t *trapped) ReadString(address uint64, limit int) (string, error) {
	if limit <= 0 || limit > mostInString {
		return "", invalid("a limit of %d", limit)
	}
	buffer := make([]byte, limit)
	var length C.size_t
	err := t.answer(func(c C.go_call, cerr **C.sandlock_error) C.sandlock_status {
		return C.go_call_read_string(c, C.uint64_t(address), unsafe.Pointer(&buffer[0]), C.size_t(limit), &length, cerr)
	})
	if err != nil {
		return "", err
	}
	return string(buffer[:length]), nil
}

// Write writes to the caller's memory.
func (t *trapped) Write(address uint64, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	return t.answer(func(c C.go_call, cerr **C.sandlock_error) C.sandlock_status {
		return C.go_call_write(c, C.uint64_t(address), unsafe.Pointer(&data[0]), C.size_t(len(data)), cerr)
	})
}

// Continue lets the call run. That is no decision on what its pointers point to.
func (t *trapped) Continue() error {
	return t.give(func(c C.go_call) C.go_given { return C.go_call_continue(c) })
}

// Deny has the call fail.
func (t *trapped) Deny(errno syscall.Errno) error {
	return t.give(func(c C.go_call) C.go_given { return C.go_call_deny(c, C.int32_t(errno)) })
}

// Return has the call return a value without running.
func (t *trapped) Return(value int64) error {
	return t.give(func(c C.go_call) C.go_given { return C.go_call_return(c, C.int64_t(value)) })
}

// ReturnFD has the call return a duplicate of a descriptor of the host. With an os.File, keep it alive (runtime.KeepAlive).
func (t *trapped) ReturnFD(fd int, flags FDFlags) error {
	return t.answer(func(c C.go_call, cerr **C.sandlock_error) C.sandlock_status {
		return C.go_call_return_fd(c, C.int(fd), C.uint64_t(flags), cerr)
	})
}

// ReturnFDAt likewise, at a number of the caller's table, whatever was open there.
func (t *trapped) ReturnFDAt(fd, number int, flags FDFlags) error {
	return t.answer(func(c C.go_call, cerr **C.sandlock_error) C.sandlock_status {
		return C.go_call_return_fd_at(c, C.int(fd), C.int(number), C.uint64_t(flags), cerr)
	})
}

// ReturnBytes has the call return a descriptor of a file in memory that contains data, and that nobody can change.
func (t *trapped) ReturnBytes(data []byte, flags FDFlags) error {
	if len(data) == 0 {
		data = make([]byte, 1)[:0:1]
	}
	start := data[:1:1]
	length := C.size_t(len(data))
	return t.answer(func(c C.go_call, cerr **C.sandlock_error) C.sandlock_status {
		return C.go_call_return_bytes(c, unsafe.Pointer(&start[0]), length, C.uint64_t(flags), cerr)
	})
}

// Kill ends the sandbox that the caller belongs to: its result will say ReasonKilled.
func (t *trapped) Kill() error {
	return t.answer(func(c C.go_call, cerr **C.sandlock_error) C.sandlock_status {
		return C.go_call_kill(c, cerr)
	})
}

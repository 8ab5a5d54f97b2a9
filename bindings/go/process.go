package sandlock

// #include "bridge.h"
import "C"

import (
	"math"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// A Process is a sandbox and the program that it was made for: Cmd.Process, once the Cmd was started. After Cmd.Wait it still
// tells its Pid, Report and Stats; everything else gives an error of StatusState.
type Process struct {
	// Pid is the program's process id, as the host sees it. To signal it use Signal, for numbers are given away again.
	Pid int
	// Terminal is the host's end of the program's terminal, if Cmd.Terminal asked for one. Reading gives EIO at its end. The
	// caller closes it.
	Terminal *os.File

	handle shared
	report *Report // these two when the process was closed
	stats  Stats
}

// A Member is a process of a sandbox.
type Member struct {
	Pid  int
	RSS  uint64 // bytes
	CPU  time.Duration
	Name string // which it can set itself
}

// A Port of a sandbox, under FlagPortRemap.
type Port struct {
	Protocol Protocol
	Inside   uint16 // the number that the program knows
	Outside  uint16 // the number that everybody else knows
}

func ownProcess(c *C.sandlock_process) *Process {
	p := &Process{Pid: int(C.sandlock_process_pid(c))}
	p.handle.what = "process"
	p.handle.c = unsafe.Pointer(c)
	p.handle.free = func(c unsafe.Pointer) { C.sandlock_process_free((*C.sandlock_process)(c)) }
	runtime.SetFinalizer(p, func(p *Process) { closeLater(p) })
	return p
}

// with calls a function of the library on the process.
func (p *Process) with(call func(c *C.sandlock_process, cerr **C.sandlock_error) C.sandlock_status) error {
	c, err := p.handle.use()
	if err != nil {
		return err
	}
	defer p.handle.done()
	var cerr *C.sandlock_error
	return failure(call((*C.sandlock_process)(c), &cerr), cerr)
}

// Wait waits until the sandbox has ended, for at most timeout (negative: without limit); errors.Is(err, StatusTimeout) then. It
// is for a program whose streams nobody copies: otherwise use Cmd.Wait.
func (p *Process) Wait(timeout time.Duration) (*Result, error) {
	ms := C.int32_t(-1)
	if timeout >= 0 {
		// Whoever asks for more than 24 days gets these.
		if all := milliseconds(timeout); all < math.MaxInt32 {
			ms = C.int32_t(all)
		} else {
			ms = math.MaxInt32
		}
	}
	var c *C.sandlock_result
	err := p.with(func(process *C.sandlock_process, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_process_wait(process, ms, &c, cerr)
	})
	if err != nil {
		return nil, err
	}
	return takeResult(c)
}

// Kill kills every process of the sandbox, daemons too, and returns when none runs any code of its own any more. No error if it
// has ended already.
func (p *Process) Kill() error {
	return p.with(func(c *C.sandlock_process, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_process_kill(c, cerr)
	})
}

// Signal sends a signal to the program, not to its descendants; 0 only asks.
func (p *Process) Signal(signal syscall.Signal) error {
	return p.with(func(c *C.sandlock_process, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_process_signal(c, C.int32_t(signal), cerr)
	})
}

// Pause stops every process of the sandbox.
func (p *Process) Pause() error {
	return p.with(func(c *C.sandlock_process, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_process_pause(c, cerr)
	})
}

// Resume lets every process of the sandbox go on.
func (p *Process) Resume() error {
	return p.with(func(c *C.sandlock_process, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_process_resume(c, cerr)
	})
}

// Resize gives the program's terminal another size.
func (p *Process) Resize(size WindowSize) error {
	return p.with(func(c *C.sandlock_process, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_process_resize(c, C.uint16_t(size.Rows), C.uint16_t(size.Columns), cerr)
	})
}

// UpdateNet changes what the program may connect and send to, under FlagNetUpdates. A nil allow is what the policy allows, an
// empty one nothing.
func (p *Process) UpdateNet(allow, deny []string) error {
	var allowed, denied **C.char
	var err error
	if allow != nil {
		if allowed, err = cStrings(allow); err != nil {
			return err
		}
		defer freeStrings(allowed)
	}
	if deny != nil {
		if denied, err = cStrings(deny); err != nil {
			return err
		}
		defer freeStrings(denied)
	}
	return p.with(func(c *C.sandlock_process, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_process_update_net(c, allowed, denied, cerr)
	})
}

// List gives the processes of the sandbox, daemons too.
func (p *Process) List() ([]Member, error) {
	var list *C.sandlock_members
	err := p.with(func(c *C.sandlock_process, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_process_list(c, &list, cerr)
	})
	if err != nil {
		return nil, err
	}
	defer C.sandlock_members_free(list)
	members := make([]Member, C.sandlock_members_count(list))
	for i := range members {
		var one C.sandlock_member
		var cerr *C.sandlock_error
		one.size = C.sizeof_sandlock_member
		if err := failure(C.sandlock_members_get(list, C.size_t(i), &one, &cerr), cerr); err != nil {
			return nil, err
		}
		members[i] = Member{int(one.pid), uint64(one.rss_bytes), microseconds(one.cpu_us), C.GoString(one.name)}
	}
	return members, nil
}

// Ports gives the ports that sockets of the sandbox are bound to, under FlagPortRemap.
func (p *Process) Ports() ([]Port, error) {
	var list *C.sandlock_ports
	err := p.with(func(c *C.sandlock_process, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_process_ports(c, &list, cerr)
	})
	if err != nil {
		return nil, err
	}
	defer C.sandlock_ports_free(list)
	ports := make([]Port, C.sandlock_ports_count(list))
	for i := range ports {
		var one C.sandlock_port
		var cerr *C.sandlock_error
		one.size = C.sizeof_sandlock_port
		if err := failure(C.sandlock_ports_get(list, C.size_t(i), &one, &cerr), cerr); err != nil {
			return nil, err
		}
		ports[i] = Port{Protocol(one.protocol), uint16(one.inside), uint16(one.outside)}
	}
	return ports, nil
}

// Pidfd gives a descriptor for the program (pidfd_open(2)), readable when it has ended. The caller closes it.
func (p *Process) Pidfd() (*os.File, error) {
	c, err := p.handle.use()
	if err != nil {
		return nil, err
	}
	defer p.handle.done()
	fd, err := duplicate(int(C.sandlock_process_pidfd((*C.sandlock_process)(c))))
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// duplicate makes another descriptor, close-on-exec and above the standard streams.
func duplicate(fd int) (int, error) {
	copied, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 3)
	if errno != 0 {
		return -1, os.NewSyscallError("fcntl", errno)
	}
	return int(copied), nil
}

// Report says what the kernel was found to enforce on the program.
func (p *Process) Report() *Report {
	c, err := p.handle.use()
	if err != nil {
		if p.report == nil {
			return &Report{} // of a zero Process
		}
		return p.report
	}
	defer p.handle.done()
	return ownReport(C.sandlock_process_report((*C.sandlock_process)(c)))
}

// Stats says what the supervisor has done for this sandbox.
func (p *Process) Stats() (Stats, error) {
	var stats C.sandlock_stats
	stats.size = C.sizeof_sandlock_stats
	if _, err := p.handle.use(); err != nil {
		if p.report == nil {
			return Stats{}, err // of a zero Process
		}
		return p.stats, nil
	}
	defer p.handle.done()
	err := p.with(func(c *C.sandlock_process, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_process_stats(c, &stats, cerr)
	})
	return goStats(&stats), err
}

// Close frees the process; a sandbox that still runs is killed first. Cmd.Wait does it; after Close, that has no Result to give, only an
// error of StatusState, but is to be called as ever.
func (p *Process) Close() error {
	c, err := p.handle.use()
	if err != nil {
		return nil
	}
	defer p.handle.done()
	C.sandlock_process_kill((*C.sandlock_process)(c), nil) // whoever waits for it stops waiting, and using it
	report := p.Report()
	stats, _ := p.Stats()
	p.handle.mu.Lock()
	defer p.handle.mu.Unlock()
	if !p.handle.closed {
		p.report, p.stats = report, stats
		p.handle.closed = true
		runtime.SetFinalizer(p, nil)
	}
	return nil
}

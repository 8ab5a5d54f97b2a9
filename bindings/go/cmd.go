package sandlock

// #include "bridge.h"
import "C"

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Capture, as Cmd.Stdout or Cmd.Stderr, has the library keep the stream for Result, up to Cmd.CaptureLimit bytes.
var Capture io.Writer = capture{}

type capture struct{ _ byte }

func (capture) Write([]byte) (int, error) {
	return 0, errors.New("sandlock: Capture is not to be written to")
}

// ErrTruncated says that Output or CombinedOutput has not got all of the program's output, because it is too much. An ExitError
// whose Result says so is one, too.
var ErrTruncated = errors.New("sandlock: the program's output is longer than the limit")

// ErrWaitDelay says that a stream could not be copied to its end within Cmd.WaitDelay after the end of the sandbox.
var ErrWaitDelay = errors.New("sandlock: a stream did not end with the sandbox")

// WindowSize is the size of a terminal.
type WindowSize struct {
	Rows, Columns uint16
}

// A Cmd is a program to be run under a policy: os/exec's Cmd, but that directory and environment are the policy's. It is used
// once, by one goroutine at a time.
type Cmd struct {
	// Policy says what the program may do.
	Policy *Policy
	// Supervisor, if not nil, looks at the program's calls.
	Supervisor *Supervisor
	// Args are the program and its arguments. Args[0] is looked up in the PATH that the program will have, inside the sandbox.
	Args []string

	// Stdin is read by the program: directly if it is an *os.File, else by a pipe that a goroutine fills. nil is /dev/null.
	Stdin io.Reader
	// Stdout and Stderr are written by the program: directly to an *os.File, kept in the Result for Capture, and else by a pipe that
	// a goroutine empties; by one pipe if both are the same. nil is /dev/null. For the host's own stream, say os.Stdout.
	Stdout, Stderr io.Writer
	// ExtraFiles are passed to the program: entry i becomes descriptor 3+i. A nil entry leaves its number out.
	ExtraFiles []*os.File
	// Terminal, if not nil, gives the program a terminal of its own, of that size (24 times 80 where it is 0), for all streams that are
	// nil; Process.Terminal is the host's end. Read it: a program waits for that.
	Terminal *WindowSize

	// CaptureLimit is the most that is kept of each captured stream, in bytes. 0 is 16 MiB.
	CaptureLimit uint64
	// WaitDelay is how long Wait waits, after the end of the sandbox, for output that somebody outside keeps open and for a Stdin that
	// gives nothing; if the context has ended the sandbox, for writers, too. 0 is a second.
	WaitDelay time.Duration
	// Name is the name of the sandbox's thread in the host. "" is "sandlock".
	Name string

	// Process is the sandbox, once started.
	Process *Process
	// Result is what became of it, once waited for.
	Result *Result

	ctx     context.Context
	streams streams
	ended   chan struct{} // closed when the sandbox has ended, for who watches the context,
	killed  chan bool     // and says whether that has ended it
	waited  bool
}

// Command makes a Cmd for a program. When ctx is done, cancelled or past its deadline, the sandbox is killed, all of it, and Wait
// gives ctx.Err().
func Command(ctx context.Context, policy *Policy, name string, args ...string) *Cmd {
	return &Cmd{Policy: policy, Args: append([]string{name}, args...), ctx: ctx}
}

// Run runs a program to its end, with empty input and captured output, and says how that was. The error is nil however the program
// ended; it is ctx.Err() if ctx was done before (then the Result is there, too, if the program was started), or says why it could not be
// started.
func Run(ctx context.Context, policy *Policy, supervisor *Supervisor, name string, args ...string) (*Result, error) {
	cmd := Command(ctx, policy, name, args...)
	cmd.Supervisor, cmd.Stdout, cmd.Stderr = supervisor, Capture, Capture
	err := cmd.Run()
	var exit *ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	return cmd.Result, err
}

// Run starts the program and waits for it.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the program and gives its output. If Stderr is nil it is captured, too, for ExitError's Result.
func (c *Cmd) Output() ([]byte, error) {
	if c.Stdout != nil || c.streams.given[1] {
		return nil, invalid("Stdout is set")
	}
	c.Stdout = Capture
	if c.Stderr == nil && !c.streams.given[2] {
		c.Stderr = Capture
	}
	err := c.Run()
	if c.Result == nil {
		return nil, err
	}
	return c.Result.Stdout, err
}

// CombinedOutput runs the program and gives its output and errors, as they come by one pipe. FlagOutputKills does not hold for it.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	if c.Stdout != nil || c.Stderr != nil || c.streams.given[1] || c.streams.given[2] {
		return nil, invalid("Stdout or Stderr is set")
	}
	kept := &limited{most: c.CaptureLimit}
	if kept.most == 0 {
		kept.most = 16 << 20
	}
	c.Stdout, c.Stderr = kept, kept
	err := c.Run()
	if err == nil && kept.lost {
		err = ErrTruncated
	}
	return kept.data, err
}

// limited keeps what is written to it, up to a limit.
type limited struct {
	data []byte
	most uint64
	lost bool
}

func (l *limited) Write(data []byte) (int, error) {
	keep := data
	if room := l.most - uint64(len(l.data)); uint64(len(keep)) > room {
		keep, l.lost = keep[:room], true
	}
	l.data = append(l.data, keep...)
	return len(data), nil
}

// StdinPipe gives the end of a pipe to write the program's input to. Close it for the input to end; Wait closes it, too.
func (c *Cmd) StdinPipe() (io.WriteCloser, error) {
	if c.Stdin != nil {
		return nil, invalid("Stdin is set")
	}
	return c.streams.give(c, 0)
}

// StdoutPipe gives the end of a pipe to read the program's output from. Wait closes it: read to its end first.
func (c *Cmd) StdoutPipe() (io.ReadCloser, error) {
	if c.Stdout != nil {
		return nil, invalid("Stdout is set")
	}
	return c.streams.give(c, 1)
}

// StderrPipe likewise, for what the program says to standard error.
func (c *Cmd) StderrPipe() (io.ReadCloser, error) {
	if c.Stderr != nil {
		return nil, invalid("Stderr is set")
	}
	return c.streams.give(c, 2)
}

// Start starts the program, and returns when it was executed, fully confined, or could not be. Wait must be called afterwards. A start
// that lasts beyond the context's deadline, for a handler may keep it, ends with context.DeadlineExceeded, and nothing runs. When the
// context is cancelled Start returns at once, too, but what keeps the start goes on to do so: until handlers have answered it, which may
// be never if a Pending is kept, Policy and Supervisor are in use, as is a thread; what was started then is killed.
func (c *Cmd) Start() error {
	if c.Process != nil || c.waited {
		return &Error{Status: StatusState, Stage: StageArguments, Message: "arguments: the Cmd was used before"}
	}
	c.waited = true // until it runs: a Cmd is used once
	if c.ctx == nil {
		c.ctx = context.Background()
	}
	var err error
	if c.Process, err = c.spawn(); err != nil {
		c.streams.closeHostEnds()
		return err
	}
	c.waited = false
	c.streams.copyAll()
	c.ended, c.killed = make(chan struct{}), make(chan bool, 1)
	if c.ctx.Done() == nil {
		c.killed <- false
	} else {
		go watch(c.ctx, c.Process, c.ended, c.killed)
	}
	return nil
}

// watch ends the sandbox with the context, and says whether it has.
func watch(ctx context.Context, process *Process, ended <-chan struct{}, killed chan<- bool) {
	select {
	case <-ctx.Done():
		_, err := process.Wait(0)
		running := errors.Is(err, StatusTimeout)
		if running {
			process.Kill()
		}
		killed <- running
	case <-ended:
		killed <- false
	}
}

// startTimeout says a time as start_timeout_ms, where 0 is no limit; so is one of weeks.
func startTimeout(left time.Duration) C.uint32_t {
	ms := milliseconds(left)
	if ms > math.MaxUint32 {
		return 0
	}
	if ms < 1 {
		ms = 1
	}
	return C.uint32_t(ms)
}

// A start is a call of sandlock_spawn, and what is to be done when it has returned, last first.
type start struct {
	c     *C.go_start
	after []func()
}

func (s *start) then(do func()) { s.after = append(s.after, do) }

func (s *start) over() {
	for i := len(s.after) - 1; i >= 0; i-- {
		s.after[i]()
	}
}

// started is what a start gives.
type started struct {
	process *Process
	err     error
}

// spawn starts the program.
func (c *Cmd) spawn() (*Process, error) {
	s := &start{c: (*C.go_start)(C.malloc(C.sizeof_go_start))}
	*s.c = C.go_start{}
	s.then(func() { C.free(unsafe.Pointer(s.c)) })
	s.then(c.streams.closeChildEnds)
	if err := c.describe(s); err != nil {
		s.over()
		return nil, err
	}
	var found started
	// Only handlers keep a start from ending, and only who has a context that can be cancelled goes before that.
	if c.Supervisor != nil && c.ctx.Done() != nil {
		found = s.await(c.ctx)
	} else {
		C.go_start_here(s.c)
		found = s.result()
	}
	if found.err != nil {
		return nil, found.err
	}
	p := found.process
	if c.Terminal != nil {
		if fd := C.sandlock_process_take_pty((*C.sandlock_process)(p.handle.c)); fd >= 0 {
			p.Terminal = hostFile(int(fd), "terminal")
		}
	}
	return p, nil
}

// describe says what is to be started. It may leave things to be done when the start is over, even if it fails.
func (c *Cmd) describe(s *start) error {
	if len(c.Args) == 0 {
		return invalid("Args is empty")
	}
	err := c.ctx.Err()
	if err == nil {
		err = c.streams.prepare(c)
	}
	if err != nil {
		return err
	}
	if s.c.argv, err = cStrings(c.Args); err != nil {
		return err
	}
	s.then(func() { freeStrings(s.c.argv) })
	// Zero is what SANDLOCK_SPAWN_OPTIONS_INIT has, but for size and descriptors.
	options := &s.c.options
	options.size = C.sizeof_sandlock_spawn_options
	options.stdin_mode, options.stdin_fd = c.streams.mode[0], c.streams.fd[0]
	options.stdout_mode, options.stdout_fd = c.streams.mode[1], c.streams.fd[1]
	options.stderr_mode, options.stderr_fd = c.streams.mode[2], c.streams.fd[2]
	options.capture_limit = C.uint64_t(c.CaptureLimit)
	if c.Name != "" {
		name, err := cString(c.Name)
		if err != nil {
			return err
		}
		s.then(func() { C.free(unsafe.Pointer(name)) })
		options.name = name
	}
	if deadline, ok := c.ctx.Deadline(); ok {
		options.start_timeout_ms = startTimeout(time.Until(deadline))
	}
	if c.Terminal != nil {
		options.pty_rows, options.pty_columns = C.uint16_t(c.Terminal.Rows), C.uint16_t(c.Terminal.Columns)
	}
	if count := len(c.ExtraFiles); count > 0 {
		fds := (*C.int32_t)(C.malloc(C.size_t(2*count) * C.sizeof_int32_t))
		s.then(func() { C.free(unsafe.Pointer(fds)) })
		numbers, passed := unsafe.Slice(fds, 2*count), 0
		for i, file := range c.ExtraFiles {
			if file != nil {
				if numbers[passed], err = c.streams.lend(file); err != nil {
					return err
				}
				numbers[count+passed] = C.int32_t(3 + i)
				passed++
			}
		}
		options.pass_fds, options.pass_fds_as = fds, &numbers[count]
		options.pass_fd_count = C.size_t(passed)
	}
	if c.Supervisor != nil {
		used, err := c.Supervisor.handle.use()
		if err != nil {
			return err
		}
		s.then(c.Supervisor.handle.done)
		s.c.supervisor = (*C.sandlock_supervisor)(used)
	}
	policy := c.Policy
	if s.c.policy, err = policy.hold(); err != nil {
		return err
	}
	s.then(policy.mu.RUnlock)
	return nil
}

// result says what the call has given.
func (s *start) result() started {
	defer s.over()
	err := failure(s.c.status, s.c.error)
	switch {
	case errors.Is(err, StatusTimeout):
		return started{err: context.DeadlineExceeded}
	case err != nil:
		return started{err: err}
	}
	return started{process: ownProcess(s.c.process)}
}

// await has the call made beside, and waits for it until the context is cancelled; what comes of it then is ended.
func (s *start) await(ctx context.Context) started {
	if errno := C.go_start_beside(s.c); errno != 0 {
		s.over()
		return started{err: &Error{Status: StatusSystem, Stage: StageSpawn, Errno: syscall.Errno(errno), Message: "spawn: no thread"}}
	}
	limited := s.c.options.start_timeout_ms != 0
	found := make(chan started, 1)
	go func() {
		C.go_start_join(s.c)
		found <- s.result()
	}()
	select {
	case it := <-found:
		return it
	case <-ctx.Done():
	}
	if limited && ctx.Err() == context.DeadlineExceeded {
		return <-found // for its time is up, too
	}
	go func() {
		if it := <-found; it.err == nil {
			it.process.Close()
		}
		sweep()
	}()
	return started{err: ctx.Err()}
}

// Wait waits until the sandbox has ended and its streams are copied, and frees it. The error is nil if the program exited with 0,
// an *ExitError if it ended otherwise, ctx.Err() if the context has ended it, and else what went wrong with the streams.
func (c *Cmd) Wait() error {
	if c.Process == nil || c.waited {
		return &Error{Status: StatusState, Stage: StageWait, Message: "wait: the Cmd does not run"}
	}
	result, err := c.Process.Wait(-1)
	freed := errors.Is(err, StatusState) // by Process.Close, which has ended the sandbox
	if err != nil && !freed {
		return err
	}
	c.waited = true
	close(c.ended)
	killed := <-c.killed
	copied := c.streams.finish(c.WaitDelay, killed || freed)
	if freed {
		return err
	}
	c.Process.Close()
	c.Result = result
	if c.Supervisor != nil {
		sweep()
	}
	switch {
	case killed:
		return c.ctx.Err()
	case !result.Success():
		return &ExitError{result}
	}
	return copied
}

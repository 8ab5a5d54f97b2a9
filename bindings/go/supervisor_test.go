package sandlock

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// sh asks for its parent once, and says the answer.
var asksForParent = []string{"sh", "-c", "echo $PPID"}

func TestHandlersAnswer(t *testing.T) {
	supervisor := mustSupervise(t, nil)
	var mu sync.Mutex
	var names []string
	must(t, supervisor.Handle("getppid", func(c *Call) {
		mu.Lock()
		defer mu.Unlock()
		names = append(names, c.Name())
		c.Pass()
	}))
	must(t, supervisor.Handle("getppid", func(c *Call) {
		if err := c.Return(4242); err != nil {
			t.Error(err)
		}
		isError(t, c.Return(1), StatusState)
	}))
	must(t, supervisor.Handle("uname", func(c *Call) {
		equal(t, c.Pid() > 0 && c.Syscall() == syscall.SYS_UNAME && c.Arg(0) != 0 && c.Arg(6) == 0, true)
		if err := c.Deny(syscall.EHOSTDOWN); err != nil {
			t.Error(err)
		}
	}))
	isError(t, supervisor.Handle("no-such-call", func(*Call) {}), StatusInvalidArgument)
	isError(t, supervisor.Handle("getppid", nil), StatusInvalidArgument)
	result := mustRun(t, systemPolicy(t), supervisor, asksForParent...)
	equal(t, string(result.Stdout), "4242\n")
	equal(t, strings.Join(names, " "), "getppid")
	result = mustRun(t, systemPolicy(t), supervisor, "uname")
	contains(t, string(result.Stderr), "Host is down")
	stats, err := supervisor.Stats()
	must(t, err)
	equal(t, stats.Returned, 1)
	equal(t, stats.Denied, 1)
}

func TestHandlersRunAtOnce(t *testing.T) {
	supervisor := mustSupervise(t, nil)
	var calls int64
	must(t, supervisor.Handle("getppid", func(c *Call) {
		c.Return(atomic.AddInt64(&calls, 1))
	}))
	script := `import os, threading
def ask(found): found.update(os.getppid() for _ in range(250))
sets = [set() for _ in range(4)]
threads = [threading.Thread(target=ask, args=(one,)) for one in sets]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(map(len, sets)), len(set().union(*sets)))`
	var all sync.WaitGroup
	for i := 0; i < 3; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			result, err := Run(limitedContext(t), systemPolicy(t), supervisor, "python3", "-c", script)
			if err != nil || string(result.Stdout) != "1000 1000\n" {
				t.Errorf("%v, %+v", err, result)
			}
		}()
	}
	all.Wait()
	equal(t, atomic.LoadInt64(&calls), 3000)
}

func TestPanicsAndSilenceDeny(t *testing.T) {
	panics := make(chan any, 10)
	supervisor := mustSupervise(t, &SupervisorOptions{Panicked: func(value any, stack []byte) {
		contains(t, string(stack), "supervisor_test.go")
		panics <- value
		panic("of the one who is told, too")
	}})
	lines := make(chan string, 10)
	must(t, supervisor.SetLog(func(level LogLevel, message string) {
		equal(t, level == LogError || level == LogWarning, true)
		lines <- message
	}))
	var kept *Call
	must(t, supervisor.Handle("uname", func(c *Call) { panic("oh no") }))
	must(t, supervisor.Handle("getppid", func(c *Call) { kept = c }))
	result := mustRun(t, systemPolicy(t), supervisor, "uname")
	contains(t, string(result.Stderr), "not permitted")
	equal(t, <-panics, any("oh no"))
	contains(t, <-lines, "handler")
	result = mustRun(t, systemPolicy(t), supervisor, asksForParent...)
	equal(t, string(result.Stdout), "-1\n")
	// A call that somebody has kept is of no use, and no harm.
	isError(t, kept.Return(1), StatusState)
	equal(t, kept.Syscall(), -1)
	equal(t, kept.Name(), "unknown")
	must(t, supervisor.SetLog(nil))
}

func TestHandlersReadAndGiveFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "real")
	must(t, os.WriteFile(path, []byte("from a file\n"), 0o644))
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	supervisor := mustSupervise(t, nil)
	must(t, supervisor.Handle("openat", func(c *Call) {
		name, err := c.ReadString(c.Arg(1), 4096)
		if err != nil {
			t.Error(err)
		}
		switch name {
		case "/virtual/bytes":
			part := make([]byte, 8)
			if n, err := c.Read(c.Arg(1), part); n != 8 || string(part) != "/virtual" || err != nil {
				t.Errorf("read %q, %v", part, err)
			}
			_, err = c.ReadString(c.Arg(1), 4)
			isError(t, err, StatusBufferTooSmall)
			_, err = c.ReadString(c.Arg(1), 16<<20+1)
			isError(t, err, StatusInvalidArgument)
			_, err = c.ReadString(c.Arg(1), 1<<40)
			isError(t, err, StatusInvalidArgument)
			if again, err := c.ReadString(c.Arg(1), 16<<20); again != name || err != nil {
				t.Errorf("read %q, %v", again, err)
			}
			err = c.ReturnBytes([]byte("only here\n"), 0)
		case "/virtual/empty":
			err = c.ReturnBytes(nil, 0)
		case "/virtual/file":
			isError(t, c.ReturnFD(98765, 0), StatusInvalidArgument)
			err = c.ReturnFD(int(file.Fd()), 0)
		case "/virtual/at":
			err = c.ReturnFDAt(int(file.Fd()), 77, FDKeepOnExec)
		case "/virtual/end":
			err = c.Kill()
		default:
			c.Pass()
		}
		if err != nil {
			t.Error(err)
		}
	}))
	result := mustRun(t, systemPolicy(t), supervisor, "cat", "/virtual/bytes", "/virtual/empty", "/virtual/file", "/virtual/none")
	equal(t, string(result.Stdout), "only here\nfrom a file\n")
	contains(t, string(result.Stderr), "/virtual/none: No such file")
	_, err = file.Seek(0, 0)
	must(t, err)
	result = mustRun(t, systemPolicy(t), supervisor, "cat", "/virtual/at")
	equal(t, string(result.Stdout), "from a file\n")
	result = mustRun(t, systemPolicy(t), supervisor, "cat", "/virtual/end")
	equal(t, result.Reason, ReasonKilled)
}

func TestHandlersWrite(t *testing.T) {
	supervisor := mustSupervise(t, nil)
	must(t, supervisor.Handle("uname", func(c *Call) {
		var names [390]byte // struct new_utsname: six names of 65 bytes
		copy(names[:], "Go")
		if err := c.Write(c.Arg(0), names[:]); err != nil {
			t.Error(err)
		}
		isError(t, c.Write(1, []byte("x")), StatusInvalidArgument)
		c.Return(0)
	}))
	result := mustRun(t, systemPolicy(t), supervisor, "uname", "-s")
	equal(t, string(result.Stdout), "Go\n")
}

func TestCallsAreDeferredAndAnsweredElsewhere(t *testing.T) {
	supervisor := mustSupervise(t, nil)
	calls := make(chan *Pending, 100)
	must(t, supervisor.Handle("getppid", func(c *Call) {
		pending, err := c.Defer()
		if err != nil {
			t.Error(err)
			return
		}
		isError(t, c.Return(1), StatusState)
		calls <- pending
	}))
	// Many programs wait at once, and are answered in another order.
	const count = 8
	results := make(chan string, count)
	for i := 0; i < count; i++ {
		go func() {
			result, err := Run(limitedContext(t), systemPolicy(t), supervisor, asksForParent[0], asksForParent[1:]...)
			if err != nil {
				results <- err.Error()
				return
			}
			results <- string(result.Stdout)
		}()
	}
	var waiting []*Pending
	for i := 0; i < count; i++ {
		waiting = append(waiting, <-calls)
	}
	for i := len(waiting) - 1; i >= 0; i-- {
		pending := waiting[i]
		equal(t, pending.Name(), "getppid")
		equal(t, pending.Pid() > 0, true)
		must(t, pending.Return(77))
		isError(t, pending.Deny(syscall.EPERM), StatusState)
		must(t, pending.Close())
		must(t, pending.Close())
		isError(t, pending.Continue(), StatusState)
		equal(t, <-results, "77\n")
	}
	// What is closed without an answer is denied.
	go func() { (<-calls).Close() }()
	equal(t, string(mustRun(t, systemPolicy(t), supervisor, asksForParent...).Stdout), "-1\n")
	// Whoever is gone needs no answer.
	cmd := Command(limitedContext(t), systemPolicy(t), asksForParent[0], asksForParent[1:]...)
	cmd.Supervisor = supervisor
	must(t, cmd.Start())
	pending := <-calls
	must(t, cmd.Process.Kill())
	isError(t, pending.Continue(), StatusStale)
	pending.Close()
	equal(t, cmd.Wait() != nil, true)
}

// keepsStarts puts off the exec that starts a program, which nobody answers until the test does.
func keepsStarts(t *testing.T) (*Supervisor, <-chan *Pending) {
	supervisor, calls := mustSupervise(t, nil), make(chan *Pending, 10)
	must(t, supervisor.Handle("execve", func(c *Call) {
		pending, err := c.Defer()
		if err != nil {
			t.Error(err)
			return
		}
		calls <- pending
	}))
	return supervisor, calls
}

func TestDeadlineEndsAStart(t *testing.T) {
	policy := systemPolicy(t)
	before := takeFootprint(t, policy)
	supervisor, calls := keepsStarts(t)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	result, err := Run(ctx, policy, supervisor, "true")
	isError(t, err, context.DeadlineExceeded)
	equal(t, result, nil)
	select {
	case pending := <-calls:
		isError(t, pending.Continue(), StatusStale)
		pending.Close()
	default: // a busy machine has not come so far
	}
	supervisor.Close()
	before.check(t)
}

// Whoever has cancelled goes at once. The start goes on, with all that it was given, and what comes of it is killed.
func TestCancelLeavesAStart(t *testing.T) {
	policy := systemPolicy(t)
	before := takeFootprint(t, policy)
	for _, lets := range []bool{true, false} {
		supervisor, calls := keepsStarts(t)
		ctx, cancel := context.WithCancel(context.Background())
		cmd := Command(ctx, policy, "/bin/sleep", "1000")
		cmd.Supervisor, cmd.Stderr = supervisor, &strings.Builder{}
		out, err := cmd.StdoutPipe()
		must(t, err)
		ours, its, err := os.Pipe()
		must(t, err)
		cmd.ExtraFiles = []*os.File{its}
		found := make(chan error)
		go func() { found <- cmd.Start() }()
		pending := <-calls
		cancel()
		equal(t, <-found, context.Canceled)
		equal(t, cmd.Process, nil)
		isError(t, cmd.Wait(), StatusState)
		_, err = out.Read(make([]byte, 1))
		isError(t, err, os.ErrClosed)
		must(t, its.Close())
		if lets {
			must(t, pending.Continue())
		}
		must(t, pending.Close())
		_, err = ours.Read(make([]byte, 1))
		equal(t, err, io.EOF) // nobody has the pipe any more
		must(t, ours.Close())
		must(t, supervisor.Close())
	}
	before.check(t)
}

func TestQueueIsServed(t *testing.T) {
	policy := systemPolicy(t)
	before := takeFootprint(t, policy)
	supervisor, err := NewSupervisor(nil)
	must(t, err)
	must(t, supervisor.Queue("getppid"))
	short, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err = supervisor.Next(short)
	equal(t, err, context.DeadlineExceeded)
	served := make(chan error)
	ctx := limitedContext(t)
	go func() {
		for i := 0; i < 10; i++ {
			pending, err := supervisor.Next(ctx)
			if err == nil {
				err = pending.Return(int64(i))
				pending.Close()
			}
			if err != nil {
				t.Error(err)
			}
		}
		_, err := supervisor.Next(ctx)
		served <- err
	}()
	for _, expected := range strings.Fields("0 1 2 3 4 5 6 7 8 9") {
		equal(t, string(mustRun(t, policy, supervisor, asksForParent...).Stdout), expected+"\n")
	}
	stats, err := supervisor.Stats()
	must(t, err)
	equal(t, stats.Deferred, 10)
	supervisor.Close()
	isError(t, <-served, StatusState)
	isError(t, supervisor.Queue("getppid"), StatusState)
	_, err = Run(ctx, policy, supervisor, "true")
	isError(t, err, StatusState)
	before.check(t)
}

// What nobody has made is refused like what is closed; least of all does a program run unsupervised.
func TestZeroValuesAreRefused(t *testing.T) {
	ctx, policy := limitedContext(t), systemPolicy(t)
	supervisor := &Supervisor{}
	result, err := Run(ctx, policy, supervisor, "true")
	isError(t, err, StatusState)
	equal(t, result, nil)
	isError(t, supervisor.Handle("getppid", func(*Call) {}), StatusState)
	isError(t, supervisor.Queue("getppid"), StatusState)
	isError(t, supervisor.Observe(EventExec, func(Event) {}), StatusState)
	isError(t, supervisor.SetLog(nil), StatusState)
	_, err = supervisor.Next(ctx)
	isError(t, err, StatusState)
	_, err = supervisor.Stats()
	isError(t, err, StatusState)
	must(t, supervisor.Close())

	process := &Process{}
	_, err = process.Wait(0)
	isError(t, err, StatusState)
	isError(t, process.Kill(), StatusState)
	_, err = process.Pidfd()
	isError(t, err, StatusState)
	_, err = process.Stats()
	isError(t, err, StatusState)
	for _, report := range []*Report{process.Report(), {}} {
		equal(t, report.Level(), LevelNone)
		equal(t, report.JSON(), "null")
	}
	must(t, process.Close())

	_, err = Run(ctx, &Policy{}, nil, "true")
	isError(t, err, StatusState)
	isError(t, (&Policy{}).Clone().AllowPath("/", AccessRead).Err(), StatusState)
	isError(t, (&Call{}).Continue(), StatusState)
	equal(t, (&Call{}).Pid(), 0)
	isError(t, (&Pending{}).Deny(syscall.EPERM), StatusState)
	must(t, (&Pending{}).Close())
	isError(t, (&Cmd{}).Run(), StatusInvalidArgument)
	isError(t, (&Cmd{}).Wait(), StatusState)
}

// A program can be waited for in the handler that it waits for: not for ever.
func TestWaitingInAHandlerIsRefused(t *testing.T) {
	supervisor := mustSupervise(t, nil)
	started, found := make(chan *Process), make(chan error, 1)
	must(t, supervisor.Handle("uname", func(c *Call) {
		_, err := (<-started).Wait(-1)
		found <- err
		c.Pass()
	}))
	cmd := Command(limitedContext(t), systemPolicy(t), "uname")
	cmd.Supervisor = supervisor
	must(t, cmd.Start())
	started <- cmd.Process
	isError(t, <-found, StatusWouldDeadlock)
	must(t, cmd.Wait())
}

func TestDeadlineDenies(t *testing.T) {
	supervisor := mustSupervise(t, &SupervisorOptions{Deadline: 50 * time.Millisecond})
	late, answered := make(chan struct{}), make(chan error, 1)
	must(t, supervisor.Handle("getppid", func(c *Call) {
		<-late
		answered <- c.Return(1)
	}))
	equal(t, string(mustRun(t, systemPolicy(t), supervisor, asksForParent...).Stdout), "-1\n")
	close(late)
	isError(t, <-answered, StatusStale)
	_, err := NewSupervisor(&SupervisorOptions{Deadline: -1})
	isError(t, err, StatusInvalidArgument)
}

func TestEventsAreTold(t *testing.T) {
	supervisor := mustSupervise(t, nil)
	events := make(chan Event, 100)
	must(t, supervisor.Observe(EventExec|EventExit|EventFork, func(e Event) { events <- e }))
	isError(t, supervisor.Observe(0, func(Event) {}), StatusInvalidArgument)
	isError(t, supervisor.Observe(EventExec, nil), StatusInvalidArgument)
	mustRun(t, systemPolicy(t), supervisor, "sh", "-c", "env true; exit 5")
	var executed, exited bool
	for !executed || !exited {
		select {
		case e := <-events:
			if e.Kind == EventExec && len(e.Arguments) == 1 && e.Arguments[0] == "true" {
				executed = strings.HasSuffix(e.Path, "/true") && e.Advisory && e.SyscallName == "execve" && e.Pid > 0 &&
					time.Since(e.Time) < time.Minute
			}
			exited = exited || e.Kind == EventExit && e.ExitCode == 5
		case <-limitedContext(t).Done():
			t.Fatalf("executed %v, exited %v", executed, exited)
		}
	}
}

func TestTraceSuggests(t *testing.T) {
	supervisor := mustSupervise(t, nil)
	must(t, supervisor.Trace())
	mustRun(t, systemPolicy(t), supervisor, "cat", "/etc/hostname")
	text, count, err := supervisor.Suggest()
	must(t, err)
	equal(t, count > 0, true)
	contains(t, text, `sandlock_policy_allow_path(policy, "/etc/hostname", SANDLOCK_ACCESS_READ, &error);`)
}

// answersUntilForgotten makes a handler, and says when nobody has it any more.
func answersUntilForgotten(forgotten chan struct{}) HandlerFunc {
	answer := &[1]int64{5}
	runtime.SetFinalizer(answer, func(*[1]int64) { close(forgotten) })
	return func(c *Call) { c.Return(answer[0]) }
}

// A sandbox keeps the handlers of a supervisor that was closed; then Go forgets them.
func TestClosedSupervisorServesOn(t *testing.T) {
	supervisor, err := NewSupervisor(nil)
	must(t, err)
	forgotten := make(chan struct{})
	must(t, supervisor.Handle("getppid", answersUntilForgotten(forgotten)))
	cmd := Command(limitedContext(t), systemPolicy(t), "sh", "-c", "read line; exec sh -c 'echo $PPID'")
	cmd.Supervisor = supervisor
	in, err := cmd.StdinPipe()
	must(t, err)
	var out strings.Builder
	cmd.Stdout = &out
	must(t, cmd.Start())
	supervisor.Close()
	supervisor.Close()
	in.Close()
	must(t, cmd.Wait())
	equal(t, out.String(), "5\n")
	isError(t, cmd.Process.Kill(), StatusState)
	equal(t, eventually(func() bool {
		sweep()
		runtime.GC()
		select {
		case <-forgotten:
			return true
		default:
			return false
		}
	}), true)
}

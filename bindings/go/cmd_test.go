package sandlock

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestContextEndsTheSandbox(t *testing.T) {
	policy := systemPolicy(t)
	before := takeFootprint(t, policy)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := Command(ctx, policy, "sh", "-c", "sleep 1000 & echo ready; wait")
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	equal(t, line, "ready\n")
	cancel()
	equal(t, cmd.Wait(), context.Canceled)
	equal(t, cmd.Result.Reason, ReasonKilled)

	deadline, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	result, err := Run(deadline, policy, nil, "sleep", "1000")
	equal(t, err, context.DeadlineExceeded)
	equal(t, result.Reason, ReasonKilled)
	result, err = Run(deadline, policy, nil, "true")
	equal(t, err, context.DeadlineExceeded)
	equal(t, result, nil)
	before.check(t)
}

func TestStreamsAreCopied(t *testing.T) {
	cmd := Command(limitedContext(t), systemPolicy(t), "sh", "-c", "tr a-z A-Z; echo said >&2")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(strings.Repeat("hello\n", 100000)), &out, &errs
	must(t, cmd.Run())
	equal(t, out.String() == strings.Repeat("HELLO\n", 100000), true)
	equal(t, errs.String(), "said\n")
	isError(t, cmd.Run(), StatusState)
	isError(t, cmd.Wait(), StatusState)

	// Input that nobody reads is no error.
	cmd = Command(limitedContext(t), systemPolicy(t), "true")
	cmd.Stdin = strings.NewReader(strings.Repeat("hello\n", 1000000))
	must(t, cmd.Run())

	// Both by one pipe, in order.
	combined, err := Command(limitedContext(t), systemPolicy(t), "sh", "-c", "echo a; echo b >&2; echo c").CombinedOutput()
	must(t, err)
	equal(t, string(combined), "a\nb\nc\n")
}

func TestPipesAndFilesArePassed(t *testing.T) {
	cmd := Command(limitedContext(t), systemPolicy(t), "sh", "-c", "read line; echo got $line; cat <&4; echo file >&5")
	in, err := cmd.StdinPipe()
	must(t, err)
	_, err = cmd.StdinPipe()
	isError(t, err, StatusState)
	out, err := cmd.StdoutPipe()
	must(t, err)
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte("passed\n"), 0o644))
	passed, err := os.Open(path)
	must(t, err)
	defer passed.Close()
	written, err := os.Create(path + "-2")
	must(t, err)
	defer written.Close()
	cmd.ExtraFiles = []*os.File{nil, passed, written}
	must(t, cmd.Start())
	_, err = io.WriteString(in, "it\n")
	must(t, err)
	text, err := io.ReadAll(out)
	must(t, err)
	equal(t, string(text), "got it\npassed\n")
	must(t, cmd.Wait())
	_, err = in.Write([]byte("x"))
	isError(t, err, os.ErrClosed)
	found, err := os.ReadFile(path + "-2")
	must(t, err)
	equal(t, string(found), "file\n")

	stdout, err := os.Create(path + "-3")
	must(t, err)
	defer stdout.Close()
	cmd = Command(limitedContext(t), systemPolicy(t), "echo", "direct")
	cmd.Stdout = stdout
	must(t, cmd.Run())
	found, err = os.ReadFile(path + "-3")
	must(t, err)
	equal(t, string(found), "direct\n")
}

// A stream whose pipe somebody has cannot lead elsewhere, too.
func TestStreamsLeadToOnePlace(t *testing.T) {
	for _, which := range []int{1, 2} {
		for _, combined := range []bool{false, true} {
			cmd := Command(limitedContext(t), systemPolicy(t), "sh", "-c", "echo out; echo err >&2")
			pipe, get := cmd.StdoutPipe, cmd.Output
			if which == 2 {
				pipe = cmd.StderrPipe
			}
			if combined {
				get = cmd.CombinedOutput
			}
			reader, err := pipe()
			must(t, err)
			text, err := get()
			if which == 2 && !combined { // which is Stdout's
				must(t, err)
				equal(t, string(text), "out\n")
				continue
			}
			isError(t, err, StatusInvalidArgument)
			equal(t, len(text), 0)
			// The Cmd was not used by that.
			must(t, cmd.Start())
			text, err = io.ReadAll(reader)
			must(t, err)
			equal(t, string(text), []string{1: "out\n", 2: "err\n"}[which])
			must(t, cmd.Wait())
		}
	}

	cmd := Command(limitedContext(t), systemPolicy(t), "cat")
	_, err := cmd.StdinPipe()
	must(t, err)
	cmd.Stdin = strings.NewReader("ignored")
	isError(t, cmd.Run(), StatusInvalidArgument)

	file, err := os.Open(os.DevNull)
	must(t, err)
	must(t, file.Close())
	cmd = Command(limitedContext(t), systemPolicy(t), "cat")
	cmd.Stdin = file
	isError(t, cmd.Run(), StatusInvalidArgument)

	// A file that is nil is as nothing at all.
	cmd = Command(limitedContext(t), systemPolicy(t), "cat")
	var none *os.File
	cmd.Stdin, cmd.Stdout, cmd.Stderr = none, none, none
	must(t, cmd.Run())
}

func TestOutputSaysHowItEnded(t *testing.T) {
	out, err := Command(limitedContext(t), systemPolicy(t), "echo", "hello").Output()
	must(t, err)
	equal(t, string(out), "hello\n")

	_, err = Command(limitedContext(t), systemPolicy(t), "sh", "-c", "echo why >&2; exit 3").Output()
	var exit *ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("the error is %v", err)
	}
	equal(t, exit.ExitCode, 3)
	equal(t, string(exit.Stderr), "why\n")
	equal(t, err.Error(), "sandlock: exit status 3")

	_, err = Command(limitedContext(t), systemPolicy(t), "sh", "-c", "kill -USR1 $$").Output()
	errors.As(err, &exit)
	equal(t, exit.Signal, syscall.SIGUSR1)
	equal(t, exit.Reason, ReasonSignaled)

	for _, combined := range []bool{false, true} {
		cmd := Command(limitedContext(t), systemPolicy(t), "echo", "1234567")
		cmd.CaptureLimit = 4
		get := cmd.Output
		if combined {
			get = cmd.CombinedOutput
		}
		out, err = get()
		isError(t, err, ErrTruncated)
		equal(t, string(out), "1234")
	}
	cmd := Command(limitedContext(t), systemPolicy(t).SetFlag(FlagOutputKills, true), "sh", "-c", "echo 1234567; sleep 1000")
	cmd.CaptureLimit = 4
	_, err = cmd.Output()
	errors.As(err, &exit)
	equal(t, exit.Reason, ReasonLimit)
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortBuffer }

// slowWriter takes longer for each piece than Wait waits for what does not end.
type slowWriter struct{ got int }

func (w *slowWriter) Write(data []byte) (int, error) {
	w.got += len(data)
	time.Sleep(5 * time.Millisecond)
	return len(data), nil
}

// silentReader gives nothing until it is let go.
type silentReader struct{ block chan struct{} }

func (r silentReader) Read([]byte) (int, error) { <-r.block; return 0, io.EOF }

func TestStreamsThatFailAreTold(t *testing.T) {
	cmd := Command(limitedContext(t), systemPolicy(t), "echo", "hello")
	cmd.Stdout = failingWriter{}
	equal(t, cmd.Run(), io.ErrShortBuffer)

	// A writer that is slow gets everything.
	cmd = Command(limitedContext(t), systemPolicy(t), "head", "-c", "100000", "/usr/bin/env", "/bin/sh")
	slow := &slowWriter{}
	cmd.Stdout, cmd.WaitDelay = slow, time.Millisecond
	must(t, cmd.Run())
	equal(t, slow.got > 100000, true)

	// Whoever keeps a pipe open from outside does not keep Wait from returning, and what was written until then is there.
	cmd = Command(limitedContext(t), systemPolicy(t), "sh", "-c", "echo inside; read line")
	in, err := cmd.StdinPipe()
	must(t, err)
	var out strings.Builder
	cmd.Stdout, cmd.WaitDelay = &out, 20*time.Millisecond
	must(t, cmd.Start())
	kept, err := os.OpenFile("/proc/"+strconv.Itoa(cmd.Process.Pid)+"/fd/1", os.O_WRONLY, 0)
	must(t, err)
	defer kept.Close()
	_, err = kept.WriteString("outside\n")
	must(t, err)
	_, err = io.WriteString(in, "go\n")
	must(t, err)
	equal(t, cmd.Wait(), ErrWaitDelay)
	contains(t, out.String(), "inside\n")
	contains(t, out.String(), "outside\n")

	// A reader that never gives anything does not keep Wait from returning.
	block := make(chan struct{})
	cmd = Command(limitedContext(t), systemPolicy(t), "true")
	cmd.Stdin, cmd.WaitDelay = silentReader{block}, 20*time.Millisecond
	equal(t, cmd.Run(), ErrWaitDelay)
	close(block)
}

func TestProcessIsControlled(t *testing.T) {
	cmd := Command(limitedContext(t), systemPolicy(t), "sh", "-c", "trap 'exit 9' USR1; echo ready; sleep 1000 & wait")
	cmd.Name = "named-thread"
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	_, err = bufio.NewReader(out).ReadString('\n')
	must(t, err)
	process := cmd.Process
	equal(t, eventually(func() bool {
		members, err := process.List()
		return err == nil && len(members) == 2
	}), true)
	members, err := process.List()
	must(t, err)
	equal(t, members[0].RSS > 0 && members[0].Name != "", true)
	must(t, process.Signal(0))
	_, err = process.Wait(0)
	isError(t, err, StatusTimeout)
	must(t, process.Pause())
	must(t, process.Resume())
	pidfd, err := process.Pidfd()
	must(t, err)
	must(t, pidfd.Close())
	_, err = process.Ports()
	isError(t, err, StatusState)
	isError(t, process.Resize(WindowSize{10, 10}), StatusState)
	isError(t, process.UpdateNet([]string{}, nil), StatusState)
	isError(t, process.UpdateNet([]string{"a\x00"}, nil), StatusInvalidArgument)

	report := process.Report()
	equal(t, report.Level() == LevelFull || report.Level() == LevelPartial, true)
	contains(t, report.JSON(), `"feature"`)
	rows, err := report.Entries()
	must(t, err)
	equal(t, rows[0].Feature, FeatureFiles)
	equal(t, rows[0].Name, "files")
	equal(t, rows[0].State, StateEnforced)
	contains(t, rows[0].Mechanism, "landlock")

	must(t, process.Signal(syscall.SIGUSR1))
	err = cmd.Wait()
	var exit *ExitError
	equal(t, errors.As(err, &exit) && exit.ExitCode == 9, true)

	isError(t, process.Kill(), StatusState)
	equal(t, process.Report().JSON(), report.JSON())
	stats, err := process.Stats()
	must(t, err)
	equal(t, stats.Failed, 0)
}

// Whoever has freed the process waits in vain, and leaves nothing behind.
func TestWaitAfterCloseEndsTheGoroutines(t *testing.T) {
	policy := systemPolicy(t)
	before := takeFootprint(t, policy)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cmd := Command(ctx, policy, "sh", "-c", "cat; sleep 1000")
	cmd.Stdin, cmd.Stdout = strings.NewReader("x"), &bytes.Buffer{}
	errs, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	must(t, cmd.Process.Close())
	isError(t, cmd.Wait(), StatusState)
	_, err = errs.Read(make([]byte, 1))
	isError(t, err, os.ErrClosed)
	isError(t, cmd.Wait(), StatusState)
	before.check(t)
}

func TestTerminalIsTheProgramsOwn(t *testing.T) {
	cmd := Command(limitedContext(t), systemPolicy(t), "sh", "-c", "stty size; read line; echo got $line; stty size")
	cmd.Terminal = &WindowSize{30, 100}
	must(t, cmd.Start())
	defer cmd.Process.Terminal.Close()
	lines := bufio.NewReader(cmd.Process.Terminal)
	line, err := lines.ReadString('\n')
	must(t, err)
	equal(t, line, "30 100\r\n")
	must(t, cmd.Process.Resize(WindowSize{40, 120}))
	_, err = io.WriteString(cmd.Process.Terminal, "typed\n")
	must(t, err)
	text, err := io.ReadAll(lines)
	isError(t, err, syscall.EIO)
	equal(t, string(text), "typed\r\ngot typed\r\n40 120\r\n")
	must(t, cmd.Wait())
}

// onThreadThatEnds has a goroutine do something that is locked to its thread, which ends with it: any but the process's first one,
// which Go keeps.
func onThreadThatEnds(do func()) {
	go func() {
		runtime.LockOSThread() // never unlocked
		if syscall.Gettid() != os.Getpid() {
			do()
			return
		}
		done := make(chan struct{})
		onThreadThatEnds(func() {
			defer close(done)
			do()
		})
		<-done
		runtime.UnlockOSThread()
	}()
}

// The thread that has started a sandbox ends; the sandbox does not.
func TestThreadThatStartsASandboxMayEnd(t *testing.T) {
	cmd := Command(limitedContext(t), systemPolicy(t), "sh", "-c", "read line; echo $line")
	in, err := cmd.StdinPipe()
	must(t, err)
	var out bytes.Buffer
	cmd.Stdout = &out
	started, thread := make(chan error), make(chan int, 1)
	onThreadThatEnds(func() {
		thread <- syscall.Gettid()
		started <- cmd.Start()
	})
	must(t, <-started)
	task := "/proc/self/task/" + strconv.Itoa(<-thread)
	equal(t, eventually(func() bool {
		_, err := os.Stat(task)
		return os.IsNotExist(err)
	}), true)
	must(t, cmd.Process.Signal(0))
	_, err = io.WriteString(in, "alive\n")
	must(t, err)
	must(t, cmd.Wait())
	equal(t, out.String(), "alive\n")
}

// A goroutine is confined, with what it starts, however that is done; others are not.
func TestGoroutineIsConfined(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte("x"), 0o644))
	own, wider := allowSystem(t, NewPolicy()).AllowPath("/proc", AccessRead), systemPolicy(t).AllowPath(path, AccessRead)
	supervisor := mustSupervise(t, nil)
	must(t, supervisor.Handle("getppid", func(c *Call) { c.Pass() }))
	found, results := make(chan error, 4), make(chan *Result, 2)
	onThreadThatEnds(func() {
		found <- ConfineThread(own)
		_, err := os.ReadFile(path)
		found <- err
		for _, supervisor := range []*Supervisor{nil, supervisor} {
			result, err := Run(limitedContext(t), wider, supervisor, "cat", path)
			found <- err
			results <- result
		}
	})
	must(t, <-found)
	isError(t, <-found, syscall.EACCES)
	for i := 0; i < 2; i++ {
		must(t, <-found)
		contains(t, string((<-results).Stderr), "Permission denied")
	}
	contains(t, string(mustRun(t, wider, supervisor, "cat", path).Stdout), "x")
	_, err := os.ReadFile(path)
	must(t, err)
}

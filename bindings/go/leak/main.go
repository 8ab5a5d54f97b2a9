// Runs programs in every way that ends, and says now and then what this process holds: see scripts/leaks.awk for the lines, and for what
// is made of them. SANDLOCK_LEAK_RUNS says how many runs.
package main

// #include <malloc.h>
// static size_t allocated(void)
// {
//     struct mallinfo2 all = mallinfo2();
//     return all.uordblks + all.hblkhd;
// }
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sandlock"
)

var policy = sandlock.NewPolicy().ClearEnv()

var asksForParent = []string{"sh", "-c", "echo $PPID"}

func check(holds bool, what ...any) {
	if !holds {
		log.Fatalln(append([]any{"# not so:"}, what...)...)
	}
}

func supervise(handler sandlock.HandlerFunc) *sandlock.Supervisor {
	supervisor, err := sandlock.NewSupervisor(nil)
	check(err == nil, err)
	check(supervisor.Handle("getppid", handler) == nil, "a handler")
	return supervisor
}

func answer(call *sandlock.Call) { call.Return(7) }

// run gives what a program prints.
func run(supervisor *sandlock.Supervisor, args ...string) string {
	result, err := sandlock.Run(context.Background(), policy, supervisor, args[0], args[1:]...)
	check(err == nil && result.Reason == sandlock.ReasonExited, args, err, result)
	return string(result.Stdout)
}

func plain() { check(run(nil, "echo", "hello") == "hello\n", "plain") }

func withHandler() {
	supervisor := supervise(answer)
	check(run(supervisor, asksForParent...) == "7\n", "with a handler")
	supervisor.Close()
}

func withHandlerThatPanics() {
	supervisor := supervise(func(*sandlock.Call) { panic("on purpose") })
	check(run(supervisor, asksForParent...) == "-1\n", "a handler that panics")
	supervisor.Close()
}

func putOff() {
	calls := make(chan *sandlock.Pending, 1)
	supervisor := supervise(func(call *sandlock.Call) {
		pending, err := call.Defer()
		check(err == nil, err)
		calls <- pending
	})
	go func() { (<-calls).Return(9) }()
	check(run(supervisor, asksForParent...) == "9\n", "put off")
	supervisor.Close()
}

// fromTheQueue lets go of neither the supervisor nor the call that it took: the collector does.
func fromTheQueue() {
	supervisor, err := sandlock.NewSupervisor(nil)
	check(err == nil && supervisor.Queue("getppid") == nil, "a queue")
	cmd := sandlock.Command(context.Background(), policy, asksForParent[0], asksForParent[1:]...)
	cmd.Supervisor, cmd.Stdout = supervisor, sandlock.Capture
	check(cmd.Start() == nil, "start")
	call, err := supervisor.Next(context.Background())
	check(err == nil && call.Return(11) == nil, "from the queue", err)
	check(cmd.Wait() == nil && string(cmd.Result.Stdout) == "11\n", "from the queue")
}

func withPipes() {
	cmd := sandlock.Command(context.Background(), policy, "cat")
	in, err := cmd.StdinPipe()
	check(err == nil, err)
	out, err := cmd.StdoutPipe()
	check(err == nil && cmd.Start() == nil, err)
	_, err = io.WriteString(in, "hello")
	check(err == nil && in.Close() == nil, err)
	text, err := io.ReadAll(out)
	check(err == nil && string(text) == "hello" && cmd.Wait() == nil, "with pipes")
}

func inConversation() {
	cmd := sandlock.Command(context.Background(), policy, "cat")
	cmd.Stdin = strings.NewReader("hello")
	out, err := cmd.CombinedOutput()
	check(err == nil && string(out) == "hello", "in conversation", err)
}

func notStarted() {
	_, err := sandlock.Run(context.Background(), policy, nil, "/nope")
	check(errors.Is(err, sandlock.StatusExec), err)
}

// refused leaves its policy to the collector.
func refused() {
	check(policy.Clone().AllowNet("tcp://10.1.2.3/8").Err() != nil, "a rule that is wrong")
	_, err := sandlock.Run(context.Background(), policy.Clone().AllowPath("/nope", sandlock.AccessRead), nil, "true")
	check(errors.Is(err, sandlock.StatusNotFound), err)
}

func killed() {
	cmd := sandlock.Command(context.Background(), policy, "sleep", "60")
	check(cmd.Start() == nil && cmd.Process.Kill() == nil, "start")
	check(cmd.Wait() != nil && cmd.Result.Reason == sandlock.ReasonKilled, "killed")
}

func timedOut() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Millisecond)
	defer cancel()
	err := sandlock.Command(ctx, policy, "sleep", "60").Run()
	check(errors.Is(err, context.DeadlineExceeded), err)
}

// left is cancelled while it starts, and goes on behind.
func left() {
	ctx, cancel := context.WithCancel(context.Background())
	supervisor, err := sandlock.NewSupervisor(nil)
	check(err == nil && supervisor.Handle("execve", func(call *sandlock.Call) { cancel(); call.Pass() }) == nil, "a handler")
	_, err = sandlock.Run(ctx, policy, supervisor, "sleep", "60")
	check(errors.Is(err, context.Canceled), err)
	supervisor.Close()
}

// forgotten neither waits nor closes anything: the collector does.
func forgotten() {
	cmd := sandlock.Command(context.Background(), policy, "cat")
	cmd.Supervisor = supervise(answer)
	_, err := cmd.StdinPipe()
	check(err == nil && cmd.Start() == nil, err)
	check(cmd.Process.Report().Level() == sandlock.LevelFull, "report")
}

func entries(directory string) int {
	all, err := os.ReadDir(directory)
	check(err == nil, err)
	return len(all)
}

// libraryRuns says whether threads of the library still run. Those of handlers end a moment after the last sandbox; their names
// begin alike. But what is called as workers are can be Go's own: Go starts threads from where it needs them, a handler too, and names
// are inherited.
func libraryRuns() bool {
	names, _ := filepath.Glob("/proc/self/task/*/comm")
	for _, name := range names {
		text, _ := os.ReadFile(name)
		if strings.HasPrefix(string(text), "sandlock") && string(text) != "sandlock-worker\n" {
			return true
		}
	}
	return false
}

func resident() (kilobytes int) {
	text, err := os.ReadFile("/proc/self/status")
	check(err == nil, err)
	for _, line := range strings.Split(string(text), "\n") {
		fmt.Sscanf(line, "VmRSS: %d", &kilobytes)
	}
	return kilobytes
}

// sayWhatIsHeld collects first. What has a finalizer goes in rounds: a process that is forgotten is closed by a goroutine of its own, and
// what it had is garbage only then.
func sayWhatIsHeld(runs int) {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		runtime.GC()
		supervisor, err := sandlock.NewSupervisor(nil) // which looks for functions that are needed no more
		check(err == nil && supervisor.Close() == nil, err)
		if !libraryRuns() && runtime.NumGoroutine() <= goroutines || time.Now().After(end) {
			break
		}
	}
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	C.malloc_trim(0)
	debug.FreeOSMemory()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	var status syscall.WaitStatus
	_, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
	children := 0
	if err != syscall.ECHILD {
		children = 1
	}
	fmt.Println("held", runs, entries("/proc/self/fd"), entries("/proc/self/task"), children, resident(),
		memory.HeapAlloc+uint64(C.allocated()))
}

var goroutines int

func main() {
	ways := []func(){plain, withHandler, withHandlerThatPanics, putOff, fromTheQueue, withPipes, inConversation, notStarted, refused,
		killed, timedOut, left, forgotten}
	runs, err := strconv.Atoi(os.Getenv("SANDLOCK_LEAK_RUNS"))
	if err != nil {
		runs = 1000
	}
	log.SetFlags(0)
	log.SetOutput(os.Stdout)
	for _, directory := range []string{"/usr", "/bin", "/lib", "/lib64"} {
		policy.AllowPath(directory, sandlock.AccessReadExecute|sandlock.AccessOptional)
	}
	goroutines = runtime.NumGoroutine()
	for i := 1; i <= runs; i++ {
		ways[i%len(ways)]()
		if i%(runs/5) == 0 {
			sayWhatIsHeld(i)
		}
	}
}

package sandlock

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// systemPolicy is everything it takes to run programs of the system, and nothing else.
func systemPolicy(t *testing.T) *Policy {
	return allowSystem(t, NewPolicy().ClearEnv())
}

func allowSystem(t *testing.T, policy *Policy) *Policy {
	policy.AllowPath("/dev/null", AccessRead|AccessWrite)
	t.Cleanup(func() { policy.Close() })
	for _, directory := range []string{"/usr", "/bin", "/lib", "/lib64"} {
		policy.AllowPath(directory, AccessReadExecute|AccessOptional)
	}
	return policy
}

// limitedContext ends what hangs.
func limitedContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func mustRun(t *testing.T, policy *Policy, supervisor *Supervisor, args ...string) *Result {
	t.Helper()
	result, err := Run(limitedContext(t), policy, supervisor, args[0], args[1:]...)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return result
}

func mustSupervise(t *testing.T, options *SupervisorOptions) *Supervisor {
	t.Helper()
	supervisor, err := NewSupervisor(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { supervisor.Close() })
	return supervisor
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func contains(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%q does not contain %q", text, part)
	}
}

func equal[T any](t *testing.T, found, expected T) {
	t.Helper()
	if any(found) != any(expected) {
		t.Errorf("found %v, not %v", found, expected)
	}
}

func isError(t *testing.T, err, expected error) {
	t.Helper()
	if !errors.Is(err, expected) {
		t.Errorf("the error is %v, not %v", err, expected)
	}
}

func entries(t *testing.T, directory string) int {
	t.Helper()
	names, err := os.ReadDir(directory)
	must(t, err)
	return len(names)
}

// eventually waits until a condition holds; nothing tells when a goroutine or thread has gone.
func eventually(holds func() bool) bool {
	for end := time.Now().Add(10 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// footprint is taken before something that must leave nothing behind, and checked after.
type footprint struct {
	descriptors, goroutines int
}

// What is kept for the next time is there by then: the policy's preparations, and Go's poller.
func takeFootprint(t *testing.T, policy *Policy) footprint {
	t.Helper()
	if out, err := Command(limitedContext(t), policy, "echo").CombinedOutput(); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	runtime.GC() // files that tests have lost are closed now
	return footprint{entries(t, "/proc/self/fd"), runtime.NumGoroutine()}
}

func (before footprint) check(t *testing.T) {
	t.Helper()
	if !eventually(func() bool { return runtime.NumGoroutine() <= before.goroutines }) {
		t.Errorf("%d goroutines before, %d after", before.goroutines, runtime.NumGoroutine())
	}
	if now := entries(t, "/proc/self/fd"); now != before.descriptors {
		t.Errorf("%d descriptors before, %d after", before.descriptors, now)
	}
}

package sandlock

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A trial is one scenario being tried: what its runs share.
type trial struct {
	table       *scenarioTable
	what        *scenario
	tree        string
	port, other int

	mu      sync.Mutex
	calls   int
	waiting []*Pending
	asked   chan struct{} // closed when a handler was asked
	over    chan struct{} // closed when the runs have ended
	helpers sync.WaitGroup
}

// expand gives a text with {tree}, {pid}, {port}, {other} and {n}, the number of the run, as what they stand for.
func (t *trial) expand(text string, run int) string {
	return strings.NewReplacer("{tree}", t.tree, "{pid}", strconv.Itoa(os.Getpid()), "{port}", strconv.Itoa(t.port), "{other}",
		strconv.Itoa(t.other), "{n}", strconv.Itoa(run)).Replace(text)
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

// named gives the position of a name, which is its number.
func named(names []string, name string) int {
	for i, each := range names {
		if each == name {
			return i
		}
	}
	panic(fmt.Sprintf("%q is a name of nothing", name))
}

var (
	scenarioModes = []string{"none", "denylist", "allowlist"}
	scenarioFlags = []string{"none", "no-aslr", "no-coredump", "no-huge-pages", "all-threads", "no-supervisor", "wait-for-descendants",
		"memory-kills-largest", "output-kills", "net-updates", "port-remap"}
	scenarioFeatures = []string{"all", "files", "files-refer", "files-truncate", "files-ioctl-dev", "files-metadata", "network",
		"signal-scope", "abstract-unix-scope", "syscalls", "no-new-privs", "capabilities", "descriptors", "session", "parent-death",
		"kill-all"}
	scenarioLevels = []string{"none", "require", "best-effort", "disable"}
	scenarioAccess = map[string]Access{"read": AccessRead, "write": AccessWrite, "read-execute": AccessReadExecute,
		"read-write": AccessRead | AccessWrite}
)

func (t *trial) policy() (*Policy, error) {
	if lines := t.what.all("toml"); len(lines) > 0 {
		var text strings.Builder
		for _, line := range lines {
			text.WriteString(t.expand(line.words[0], 0) + "\n")
		}
		return PolicyFromTOML(text.String())
	}
	policy := NewPolicy()
	for _, rule := range append(t.table.base[:len(t.table.base):len(t.table.base)], t.what.all("rule")...) {
		words := append([]string{}, rule.words...)
		for i := range words {
			words[i] = t.expand(words[i], 0)
		}
		applyRule(policy, append(words, "", ""))
	}
	return policy, nil
}

func applyRule(policy *Policy, words []string) {
	a, b := words[1], words[2]
	switch words[0] {
	case "allow-path":
		access := scenarioAccess[strings.TrimSuffix(a, "?")]
		if strings.HasSuffix(a, "?") {
			access |= AccessOptional
		}
		policy.AllowPath(b, access)
	case "clear-env":
		policy.ClearEnv()
	case "set-env":
		policy.SetEnv(a, b)
	case "unset-env":
		policy.UnsetEnv(a)
	case "set-cwd":
		policy.SetCwd(a)
	case "set-umask":
		mask, _ := strconv.ParseUint(a, 8, 32)
		policy.SetUmask(uint32(mask))
	case "syscalls":
		policy.SetSyscallDefault(SyscallDefault(named(scenarioModes, a)))
	case "allow-syscall":
		policy.AllowSyscall(a)
	case "deny-syscall":
		policy.DenySyscall(a, syscall.Errno(number(b)))
	case "limit":
		policy.SetLimit(Limit(named(limitNames[:], a)), uint64(number(b)))
	case "grace":
		policy.SetGrace(syscall.Signal(number(a)), time.Duration(number(b))*time.Millisecond)
	case "flag":
		policy.SetFlag(Flag(named(scenarioFlags, a)), true)
	case "strictness":
		policy.SetStrictness(Feature(named(scenarioFeatures, a)), Strictness(named(scenarioLevels, b)))
	case "allow-net":
		policy.AllowNet(a)
	case "deny-net":
		policy.DenyNet(a)
	case "allow-bind":
		policy.AllowBind(a)
	case "deny-bind":
		policy.DenyBind(a)
	default:
		panic("no rule is " + words[0])
	}
}

// supervise makes a supervisor, or nil if there are no handlers.
func (t *trial) supervise(ctx context.Context) (*Supervisor, error) {
	handlers := t.what.all("handler")
	if len(handlers) == 0 {
		return nil, nil
	}
	options := &SupervisorOptions{}
	if deadline, given := t.what.get("deadline"); given {
		options.Deadline = time.Duration(number(deadline)) * time.Millisecond
	}
	supervisor, err := NewSupervisor(options)
	for _, line := range handlers {
		if err != nil {
			break
		}
		words := line.words
		if words[1] == "later-loop" {
			err = supervisor.Queue(words[0])
			t.helpers.Add(1)
			go t.serveQueue(ctx, supervisor, int64(number(words[2])))
		} else {
			err = supervisor.Handle(words[0], func(call *Call) { t.handle(words, call) })
		}
	}
	return supervisor, err
}

func (t *trial) countCall() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls++; t.calls == 1 {
		close(t.asked)
	}
}

// keepWaiting gives all calls that wait if these are most then.
func (t *trial) keepWaiting(call *Call, most int) (all []*Pending) {
	pending, err := call.Defer()
	if err != nil {
		panic(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, pending)
	if len(t.waiting) == most {
		all, t.waiting = t.waiting, nil
	}
	return all
}

// later has another goroutine answer a call.
func (t *trial) later(call *Call, answer func(*Pending) error) error {
	pending, err := call.Defer()
	if err == nil {
		t.helpers.Add(1)
		go func() {
			defer t.helpers.Done()
			defer pending.Close()
			if err := answer(pending); err != nil {
				panic(err)
			}
		}()
	}
	return err
}

func (t *trial) handle(words []string, call *Call) {
	var err error
	t.countCall()
	switch words[1] {
	case "pass":
		call.Pass()
	case "throws":
		panic("of the handler")
	case "silent":
	case "hangs":
		<-t.over
	case "bytes", "file":
		if call.Name() != "openat" {
			call.Pass()
			return
		}
		path, failed := call.ReadString(call.Arg(1), 4096)
		if failed != nil || path != words[2] {
			call.Pass()
			return
		}
		err = t.giveFile(words, call)
	case "write":
		if err = call.Write(call.Arg(0), []byte(words[2]+"\x00")); err == nil {
			err = call.Return(0)
		}
	case "gather":
		all := t.keepWaiting(call, number(words[2]))
		for i := len(all) - 1; i >= 0 && err == nil; i-- {
			err = all[i].Return(int64(number(words[3])))
			all[i].Close()
		}
	case "never":
		t.keepWaiting(call, 0)
	case "later-thread":
		err = t.later(call, func(p *Pending) error { return p.Return(int64(number(words[2]))) })
	case "later-errno":
		err = t.later(call, func(p *Pending) error { return p.Deny(syscall.Errno(number(words[2]))) })
	case "value":
		err = call.Return(int64(number(words[2])))
	case "errno":
		err = call.Deny(syscall.Errno(number(words[2])))
	case "run":
		err = call.Continue()
	case "kill":
		err = call.Kill()
	default:
		panic("no handler does " + words[1])
	}
	if err != nil {
		panic(err)
	}
}

func (t *trial) giveFile(words []string, call *Call) error {
	if words[1] == "bytes" {
		return call.ReturnBytes([]byte(words[3]), 0)
	}
	file, err := os.Open(filepath.Join(t.tree, words[3]))
	if err != nil {
		return err
	}
	defer file.Close()
	return call.ReturnFD(int(file.Fd()), 0)
}

// serveQueue is a loop of the host's that answers the calls in the queue.
func (t *trial) serveQueue(ctx context.Context, supervisor *Supervisor, value int64) {
	defer t.helpers.Done()
	for {
		pending, err := supervisor.Next(ctx)
		if err != nil {
			return
		}
		t.countCall()
		if err := pending.Return(value); err != nil {
			panic(err)
		}
		pending.Close()
	}
}

// end is for when the runs have ended.
func (t *trial) end(supervisor *Supervisor) {
	close(t.over)
	for _, pending := range t.waiting {
		pending.Close()
	}
	if supervisor != nil {
		supervisor.Close()
	}
	t.helpers.Wait()
}

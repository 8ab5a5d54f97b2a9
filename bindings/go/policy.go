package sandlock

// #include "bridge.h"
import "C"

import (
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// A Policy says what a program may do: nothing, when it is new. Its methods add to it and return it, so that they can be
// chained. A rule that is refused leaves the policy as it was and is remembered: Err tells, and no program is started under such
// a policy. Programs that run are not affected by later changes.
//
// A Policy can be used for many programs, and at once; who changes or closes it waits while a program is being started, so a handler of
// the exec that starts a program must not. It is freed when nobody has it any more, or by Close.
type Policy struct {
	mu   sync.RWMutex
	c    *C.sandlock_policy
	errs []error
}

// NewPolicy makes a policy that allows nothing.
func NewPolicy() *Policy {
	return ownPolicy(C.sandlock_policy_new())
}

func ownPolicy(c *C.sandlock_policy) *Policy {
	p := &Policy{c: c}
	runtime.SetFinalizer(p, func(p *Policy) { p.Close() })
	return p
}

// PolicyFromTOML reads a policy. The error names everything that is wrong with the text, with line and column.
func PolicyFromTOML(text string) (*Policy, error) {
	var c *C.sandlock_policy
	var cerr *C.sandlock_error
	// By its length, so that a NUL in it is found by the library.
	data := C.CString(text)
	defer C.free(unsafe.Pointer(data))
	if err := failure(C.sandlock_policy_from_toml(data, C.size_t(len(text)), &c, &cerr), cerr); err != nil {
		return nil, err
	}
	return ownPolicy(c), nil
}

// TOML writes the policy as a text that PolicyFromTOML reads back as an equal one.
func (p *Policy) TOML() (string, error) {
	var written string
	err := p.read(func(c *C.sandlock_policy) error {
		var text *C.sandlock_text
		var length C.size_t
		var cerr *C.sandlock_error
		if err := failure(C.sandlock_policy_to_toml(c, &text, &cerr), cerr); err != nil {
			return err
		}
		defer C.sandlock_text_free(text)
		data := C.sandlock_text_data(text, &length)
		written = string(goBytes(unsafe.Pointer(data), length))
		return nil
	})
	return written, err
}

// Clone makes an independent copy, with what was refused so far.
func (p *Policy) Clone() *Policy {
	p.mu.RLock()
	defer p.mu.RUnlock()
	copied := ownPolicy(C.sandlock_policy_clone(p.c))
	copied.errs = append(copied.errs, p.errs...)
	return copied
}

// Close frees the policy at once. Programs that run are not affected.
func (p *Policy) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	C.sandlock_policy_free(p.c)
	p.c = nil
	runtime.SetFinalizer(p, nil)
	return nil
}

// Err gives what was refused so far, joined, or nil.
func (p *Policy) Err() error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return join(p.errs)
}

// Check says whether a program could be started under the policy on this kernel. The message names every problem.
func (p *Policy) Check() error {
	return p.read(func(c *C.sandlock_policy) error {
		var cerr *C.sandlock_error
		return failure(C.sandlock_policy_check(c, &cerr), cerr)
	})
}

// read uses the policy while nobody changes it: not at all if something was refused.
func (p *Policy) read(use func(*C.sandlock_policy) error) error {
	c, err := p.hold()
	if err != nil {
		return err
	}
	defer p.mu.RUnlock()
	return use(c)
}

// hold is for who reads the policy, and unlocks it then; if there is an error it is not locked.
func (p *Policy) hold() (*C.sandlock_policy, error) {
	if p == nil {
		return nil, invalid("the policy is nil")
	}
	p.mu.RLock()
	if len(p.errs) == 0 && p.c != nil {
		return p.c, nil
	}
	defer p.mu.RUnlock()
	if len(p.errs) > 0 {
		return nil, join(p.errs)
	}
	return nil, closed("policy")
}

type policyChange func(c *C.sandlock_policy, texts []*C.char, cerr **C.sandlock_error) C.sandlock_status

// change makes one change, with its texts as C has them.
func (p *Policy) change(do policyChange, texts ...string) *Policy {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.changed(do, texts); err != nil {
		p.errs = append(p.errs, err)
	}
	return p
}

func (p *Policy) changed(do policyChange, texts []string) error {
	if p.c == nil {
		return closed("policy")
	}
	var copies []*C.char
	defer func() {
		for _, c := range copies {
			C.free(unsafe.Pointer(c))
		}
	}()
	for _, text := range texts {
		c, err := cString(text)
		if err != nil {
			return err
		}
		copies = append(copies, c)
	}
	var cerr *C.sandlock_error
	return failure(do(p.c, copies, &cerr), cerr)
}

// refuse remembers what cannot even be said to the library.
func (p *Policy) refuse(err error) *Policy {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs = append(p.errs, err)
	return p
}

// AllowPath grants access to a file, or a directory and everything beneath it.
func (p *Policy) AllowPath(path string, access Access) *Policy {
	return p.change(func(c *C.sandlock_policy, t []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_allow_path(c, t[0], C.uint64_t(access), cerr)
	}, path)
}

// SetSyscallDefault chooses what happens to system calls that no rule names.
func (p *Policy) SetSyscallDefault(mode SyscallDefault) *Policy {
	return p.change(func(c *C.sandlock_policy, _ []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_syscall_default(c, C.uint32_t(mode), cerr)
	})
}

// AllowSyscall allows a system call, or a group of them: "@network-io".
func (p *Policy) AllowSyscall(name string) *Policy {
	return p.change(func(c *C.sandlock_policy, t []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_allow_syscall(c, t[0], cerr)
	}, name)
}

// DenySyscall has a system call, or a group of them, fail.
func (p *Policy) DenySyscall(name string, errno syscall.Errno) *Policy {
	return p.change(func(c *C.sandlock_policy, t []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_deny_syscall(c, t[0], C.int32_t(errno), cerr)
	}, name)
}

// SetLimit sets a limit, in its unit.
func (p *Policy) SetLimit(limit Limit, value uint64) *Policy {
	return p.change(func(c *C.sandlock_policy, _ []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_limit(c, C.uint32_t(limit), C.uint64_t(value), cerr)
	})
}

// SetCgroup names the directory of a control group in which sandboxes get groups of their own; "" names none.
func (p *Policy) SetCgroup(path string) *Policy {
	return p.change(func(c *C.sandlock_policy, t []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_cgroup(c, orNull(path, t), cerr)
	}, path)
}

// orNull gives the only text, or NULL if it is empty.
func orNull(text string, t []*C.char) *C.char {
	if text == "" {
		return nil
	}
	return t[0]
}

// SetGrace has the program warned by a signal before a limit of time kills its sandbox; 0: no warning. A context that ends kills
// without.
func (p *Policy) SetGrace(signal syscall.Signal, after time.Duration) *Policy {
	if after < 0 {
		return p.refuse(invalid("a grace of %v", after))
	}
	return p.change(func(c *C.sandlock_policy, _ []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_grace(c, C.int32_t(signal), C.uint64_t(milliseconds(after)), cerr)
	})
}

// SetEnv sets a variable of the program's environment.
func (p *Policy) SetEnv(name, value string) *Policy {
	return p.change(func(c *C.sandlock_policy, t []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_env(c, t[0], t[1], cerr)
	}, name, value)
}

// UnsetEnv removes a variable from the program's environment.
func (p *Policy) UnsetEnv(name string) *Policy {
	return p.change(func(c *C.sandlock_policy, t []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_env(c, t[0], nil, cerr)
	}, name)
}

// ClearEnv starts from a minimal environment instead of the host's. Without it no goroutine may change the environment
// (os.Setenv) while a program is being started.
func (p *Policy) ClearEnv() *Policy {
	return p.change(func(c *C.sandlock_policy, _ []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_clear_env(c, cerr)
	})
}

// SetCwd sets the working directory.
func (p *Policy) SetCwd(path string) *Policy {
	return p.change(func(c *C.sandlock_policy, t []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_cwd(c, t[0], cerr)
	}, path)
}

// SetUmask sets the file mode creation mask.
func (p *Policy) SetUmask(mask uint32) *Policy {
	return p.change(func(c *C.sandlock_policy, _ []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_umask(c, C.uint32_t(mask), cerr)
	})
}

// SetNice sets the nice value.
func (p *Policy) SetNice(value int) *Policy {
	if value < -20 || value > 19 {
		return p.refuse(invalid("a nice value of %d; it is -20 to 19", value))
	}
	return p.change(func(c *C.sandlock_policy, _ []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_nice(c, C.int32_t(value), cerr)
	})
}

// SetCPUs confines the program to processors.
func (p *Policy) SetCPUs(cpus ...uint32) *Policy {
	return p.change(func(c *C.sandlock_policy, _ []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		if len(cpus) == 0 {
			return C.sandlock_policy_set_cpus(c, nil, 0, cerr)
		}
		numbers := make([]C.uint32_t, len(cpus))
		for i, cpu := range cpus {
			numbers[i] = C.uint32_t(cpu)
		}
		return C.sandlock_policy_set_cpus(c, &numbers[0], C.size_t(len(numbers)), cerr)
	})
}

// SetUser has the program go by a user and a group id, in a user namespace.
func (p *Policy) SetUser(uid, gid uint32) *Policy {
	return p.change(func(c *C.sandlock_policy, _ []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_user(c, C.uint32_t(uid), C.uint32_t(gid), cerr)
	})
}

// SetNamespace gives the program a namespace of its own, or not.
func (p *Policy) SetNamespace(which Namespace, on bool) *Policy {
	return p.change(func(c *C.sandlock_policy, _ []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_namespace(c, C.uint32_t(which), C.bool(on), cerr)
	})
}

// SetFlag turns a flag on or off.
func (p *Policy) SetFlag(flag Flag, on bool) *Policy {
	return p.change(func(c *C.sandlock_policy, _ []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_flag(c, C.uint32_t(flag), C.bool(on), cerr)
	})
}

// SetStrictness says how strictly a feature is asked for.
func (p *Policy) SetStrictness(feature Feature, level Strictness) *Policy {
	return p.change(func(c *C.sandlock_policy, _ []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_strictness(c, C.uint32_t(feature), C.uint32_t(level), cerr)
	})
}

// SetRoot says which directory the program has for "/"; "" is an empty file system in memory. See SetHostRoot.
func (p *Policy) SetRoot(path string) *Policy {
	return p.change(func(c *C.sandlock_policy, t []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_root(c, t[0], cerr)
	}, path)
}

// SetHostRoot gives the program the host's "/", as in a new policy.
func (p *Policy) SetHostRoot() *Policy {
	return p.change(func(c *C.sandlock_policy, _ []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_root(c, nil, cerr)
	})
}

// AddMount mounts a directory or file of the host at a place that the program sees.
func (p *Policy) AddMount(source, target string, flags MountFlags) *Policy {
	return p.change(func(c *C.sandlock_policy, t []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_add_mount(c, t[0], t[1], C.uint64_t(flags), cerr)
	}, source, target)
}

// AddMemoryMount mounts an empty, writable file system in memory.
func (p *Policy) AddMemoryMount(target string, size uint64) *Policy {
	return p.change(func(c *C.sandlock_policy, t []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_add_memory_mount(c, t[0], C.uint64_t(size), cerr)
	}, target)
}

// AllowNet allows the program to connect and send to somebody: "tcp://example.com:443".
func (p *Policy) AllowNet(rule string) *Policy {
	return p.change(func(c *C.sandlock_policy, t []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_allow_net(c, t[0], cerr)
	}, rule)
}

// DenyNet denies it, whatever is allowed.
func (p *Policy) DenyNet(rule string) *Policy {
	return p.change(func(c *C.sandlock_policy, t []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_deny_net(c, t[0], cerr)
	}, rule)
}

// AllowBind allows the program to bind to ports, and with TCP to be a server there: "8080", "udp://*".
func (p *Policy) AllowBind(ports string) *Policy {
	return p.change(func(c *C.sandlock_policy, t []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_allow_bind(c, t[0], cerr)
	}, ports)
}

// DenyBind denies it, whatever is allowed.
func (p *Policy) DenyBind(ports string) *Policy {
	return p.change(func(c *C.sandlock_policy, t []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_deny_bind(c, t[0], cerr)
	}, ports)
}

// SetNetRefresh has names of hosts looked up again, in whole seconds; 0: never.
func (p *Policy) SetNetRefresh(every time.Duration) *Policy {
	if every < 0 || every%time.Second != 0 || every/time.Second > 1<<32-1 {
		return p.refuse(invalid("names looked up every %v; it is whole seconds", every))
	}
	return p.change(func(c *C.sandlock_policy, _ []*C.char, cerr **C.sandlock_error) C.sandlock_status {
		return C.sandlock_policy_set_net_refresh(c, C.uint32_t(every/time.Second), cerr)
	})
}

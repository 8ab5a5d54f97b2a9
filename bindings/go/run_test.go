package sandlock

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestVersionsAgree(t *testing.T) {
	equal(t, VersionNumber(), HeaderVersionNumber)
	contains(t, Version(), ".")
	capabilities, err := Probe()
	must(t, err)
	equal(t, capabilities.SeccompFilter, true)
	equal(t, capabilities.LandlockABI > 0, true)
}

func TestLimitsEndTheSandbox(t *testing.T) {
	result := mustRun(t, systemPolicy(t).SetLimit(LimitWall, 200), nil, "sleep", "60")
	equal(t, result.Reason, ReasonLimit)
	equal(t, result.Limit, LimitWall)
	equal(t, result.LimitValue, 200)
	equal(t, result.LimitReading >= 200, true)
	equal(t, result.ExitCode, -1)
	equal(t, result.Usage.Wall >= 200*time.Millisecond, true)
	contains(t, result.String(), "allowed 200 ms")
}

func TestFailuresSayWhy(t *testing.T) {
	_, err := Run(context.Background(), systemPolicy(t), nil, "/usr/no-such-program")
	var failed *Error
	if !errors.As(err, &failed) {
		t.Fatalf("the error is %v", err)
	}
	equal(t, failed.Status, StatusExec)
	equal(t, failed.Stage, StageExec)
	equal(t, failed.Errno, syscall.ENOENT)
	contains(t, err.Error(), "/usr/no-such-program")
	isError(t, err, StatusExec)
	isError(t, err, syscall.ENOENT)
	isError(t, err, fs.ErrNotExist)
	equal(t, errors.Is(err, StatusSystem), false)
	equal(t, StatusExec.String(), "EXEC")
	equal(t, failed.Stage.String(), "exec")
	equal(t, StageNetwork.String(), "network")

	policy := systemPolicy(t).AllowNet("tcp://10.1.2.3/8").AllowPath("/etc", 0)
	_, err = Run(context.Background(), policy, nil, "true")
	isError(t, err, StatusInvalidArgument)
	contains(t, err.Error(), `rule "tcp://10.1.2.3/8", column 7`)
	contains(t, policy.Err().Error(), "column 7")
	equal(t, len(strings.Split(policy.Err().Error(), "\n")), 2)
	isError(t, policy.Check(), StatusInvalidArgument)
	isError(t, policy.Clone().Check(), StatusInvalidArgument)

	isError(t, NewPolicy().AllowPath("/no/such/directory", AccessRead).Check(), StatusNotFound)
	_, err = Run(context.Background(), nil, nil, "true")
	isError(t, err, StatusInvalidArgument)
	_, err = PolicyFromTOML("[filesystem]\nraed = []\n")
	contains(t, err.Error(), "line 2, column 1")
}

// A string that ended at its NUL would say something else in C: "/tmp\0/mine" all of /tmp.
func TestStringsWithNulAreRefused(t *testing.T) {
	for _, err := range []error{
		NewPolicy().AllowPath("/tmp\x00/mine", AccessAll).Err(),
		NewPolicy().SetEnv("A", "b\x00c").Err(),
		NewPolicy().AllowNet("tcp://*:80\x00").Err(),
		Command(context.Background(), systemPolicy(t), "echo", "a\x00b").Run(),
	} {
		isError(t, err, StatusInvalidArgument)
	}
	supervisor := mustSupervise(t, nil)
	isError(t, supervisor.Handle("getppid\x00", func(*Call) {}), StatusInvalidArgument)
}

func TestPoliciesSayEverything(t *testing.T) {
	directory := t.TempDir()
	policy := NewPolicy().ClearEnv().
		AllowPath("/usr", AccessReadExecute).
		SetSyscallDefault(SyscallsDenylist).AllowSyscall("ptrace").DenySyscall("socket", syscall.ENOSYS).
		SetLimit(LimitNoFile, 64).SetCgroup("").SetGrace(syscall.SIGTERM, 1500*time.Microsecond).
		SetEnv("A", "b").UnsetEnv("HOME").SetCwd(directory).SetUmask(0o27).SetNice(5).SetCPUs(0).
		SetUser(0, 0).SetNamespace(NamespaceUTS, true).SetFlag(FlagNoCoreDump, true).
		SetStrictness(FeatureNetwork, BestEffort).
		SetRoot("").AddMemoryMount("/tmp", 1<<20).AddMount("/usr", "/usr", 0).AddMount(directory, "/work", MountWrite).
		AllowNet("tcp://*:443").DenyNet("10.0.0.0/8").AllowBind("8080").DenyBind("8081").SetNetRefresh(time.Minute)
	must(t, policy.Err())
	text, err := policy.TOML()
	must(t, err)
	for _, part := range []string{`read-execute = ["/usr"]`, "ptrace", "ENOSYS", "nofile = 64", "grace = [15, 2]", `A = "b"`, "HOME = false",
		"cwd = ", "umask", "nice = 5", "cpus = [0]", "user = [0, 0]", "uts", "no-coredump", `network = "best-effort"`, `root = "memory"`,
		"write = true", "tcp://*:443", "10.0.0.0/8", "8080", "8081", "refresh = 60"} {
		contains(t, text, part)
	}
	again, err := PolicyFromTOML(text)
	must(t, err)
	second, err := again.TOML()
	must(t, err)
	equal(t, second, text)
	third, err := policy.Clone().SetHostRoot().TOML()
	must(t, err)
	equal(t, strings.Contains(third, `root = "memory"`), false)

	for _, refused := range []*Policy{NewPolicy().SetNice(1 << 40), NewPolicy().SetGrace(15, -1), NewPolicy().SetNetRefresh(time.Millisecond),
		NewPolicy().SetCPUs(), NewPolicy().SetLimit(99, 1), NewPolicy().SetLimit(LimitWall, 0)} {
		isError(t, refused.Err(), StatusInvalidArgument)
	}
	policy.Close()
	isError(t, policy.Check(), StatusState)
	isError(t, policy.SetNice(1).Err(), StatusState)
	policy.Close()
}

func TestSettingsReachTheProgram(t *testing.T) {
	policy := systemPolicy(t).SetEnv("GREETING", "hello").SetCwd("/usr").SetUmask(0o27)
	result := mustRun(t, policy, nil, "sh", "-c", "echo $GREETING; pwd; umask")
	equal(t, string(result.Stdout), "hello\n/usr\n0027\n")
}

func TestNothingIsLeftBehind(t *testing.T) {
	policy := systemPolicy(t)
	once := func() {
		supervisor, err := NewSupervisor(nil)
		must(t, err)
		must(t, supervisor.Handle("getppid", func(c *Call) { c.Return(7) }))
		cmd := Command(context.Background(), policy, "sh", "-c", "cat; echo $PPID")
		cmd.Supervisor, cmd.Stdin = supervisor, strings.NewReader("in ")
		out, err := cmd.CombinedOutput()
		must(t, err)
		equal(t, string(out), "in 7\n")
		must(t, supervisor.Close())
		_, err = Run(context.Background(), policy, nil, "/usr/no-such-program")
		isError(t, err, StatusExec)
	}
	for i := 0; i < 5; i++ {
		once()
	}
	before, threads := takeFootprint(t, policy), entries(t, "/proc/self/task")
	for i := 0; i < 100; i++ {
		once()
	}
	before.check(t)
	// Go keeps threads, and starts one more now and then; a thread for each run would be hundreds.
	if now := entries(t, "/proc/self/task"); now > threads+8 {
		t.Errorf("%d threads before, %d after", threads, now)
	}
}

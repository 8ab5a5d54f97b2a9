package sandlock

// #include "bridge.h"
import "C"

// An Access is what a path rule grants; rights are or-ed together.
type Access uint64

// The values of Access; the manual (sandlock.h) says what each means.
const (
	AccessRead        Access = C.SANDLOCK_ACCESS_READ
	AccessExecute     Access = C.SANDLOCK_ACCESS_EXECUTE
	AccessWrite       Access = C.SANDLOCK_ACCESS_WRITE
	AccessReadExecute Access = C.SANDLOCK_ACCESS_READ_EXECUTE
	AccessAll         Access = C.SANDLOCK_ACCESS_ALL
	AccessOptional    Access = C.SANDLOCK_ACCESS_OPTIONAL
)

// A SyscallDefault says what happens to a system call that no rule names.
type SyscallDefault uint32

// The values of SyscallDefault; the manual (sandlock.h) says what each means.
const (
	SyscallsDenylist  SyscallDefault = C.SANDLOCK_SYSCALLS_DENYLIST
	SyscallsAllowlist SyscallDefault = C.SANDLOCK_SYSCALLS_ALLOWLIST
)

// A Limit is of each process, as setrlimit(2) has them, or of the sandbox as a whole; units are in the manual.
type Limit uint32

// The values of Limit; the manual (sandlock.h) says what each means.
const (
	LimitCPU       Limit = C.SANDLOCK_LIMIT_CPU
	LimitNoFile    Limit = C.SANDLOCK_LIMIT_NOFILE
	LimitFSize     Limit = C.SANDLOCK_LIMIT_FSIZE
	LimitCore      Limit = C.SANDLOCK_LIMIT_CORE
	LimitData      Limit = C.SANDLOCK_LIMIT_DATA
	LimitAS        Limit = C.SANDLOCK_LIMIT_AS
	LimitStack     Limit = C.SANDLOCK_LIMIT_STACK
	LimitNProc     Limit = C.SANDLOCK_LIMIT_NPROC
	LimitMemLock   Limit = C.SANDLOCK_LIMIT_MEMLOCK
	LimitProcesses Limit = C.SANDLOCK_LIMIT_PROCESSES
	LimitThreads   Limit = C.SANDLOCK_LIMIT_THREADS
	LimitMemory    Limit = C.SANDLOCK_LIMIT_MEMORY
	LimitCPUTotal  Limit = C.SANDLOCK_LIMIT_CPU_TOTAL
	LimitWall      Limit = C.SANDLOCK_LIMIT_WALL
	LimitCPUShare  Limit = C.SANDLOCK_LIMIT_CPU_SHARE
	LimitDisk      Limit = C.SANDLOCK_LIMIT_DISK
)

// A Flag of a policy; all are off in a new one.
type Flag uint32

// The values of Flag; the manual (sandlock.h) says what each means.
const (
	FlagNoASLR             Flag = C.SANDLOCK_FLAG_NO_ASLR
	FlagNoCoreDump         Flag = C.SANDLOCK_FLAG_NO_COREDUMP
	FlagNoHugePages        Flag = C.SANDLOCK_FLAG_NO_HUGE_PAGES
	FlagAllThreads         Flag = C.SANDLOCK_FLAG_ALL_THREADS
	FlagNoSupervisor       Flag = C.SANDLOCK_FLAG_NO_SUPERVISOR
	FlagWaitForDescendants Flag = C.SANDLOCK_FLAG_WAIT_FOR_DESCENDANTS
	FlagMemoryKillsLargest Flag = C.SANDLOCK_FLAG_MEMORY_KILLS_LARGEST
	FlagOutputKills        Flag = C.SANDLOCK_FLAG_OUTPUT_KILLS
	FlagNetUpdates         Flag = C.SANDLOCK_FLAG_NET_UPDATES
	FlagPortRemap          Flag = C.SANDLOCK_FLAG_PORT_REMAP
)

// A Namespace is what the program can have for itself.
type Namespace uint32

// The values of Namespace; the manual (sandlock.h) says what each means.
const (
	NamespaceIPC   Namespace = C.SANDLOCK_NAMESPACE_IPC
	NamespaceUTS   Namespace = C.SANDLOCK_NAMESPACE_UTS
	NamespaceNet   Namespace = C.SANDLOCK_NAMESPACE_NET
	NamespacePID   Namespace = C.SANDLOCK_NAMESPACE_PID
	NamespaceMount Namespace = C.SANDLOCK_NAMESPACE_MOUNT
)

// MountFlags say how something is mounted for the program.
type MountFlags uint64

// The values of MountFlags; the manual (sandlock.h) says what each means.
const (
	MountWrite MountFlags = C.SANDLOCK_MOUNT_WRITE
)

// Strictness says what happens where a feature cannot be enforced.
type Strictness uint32

// The values of Strictness; the manual (sandlock.h) says what each means.
const (
	Require    Strictness = C.SANDLOCK_REQUIRE
	BestEffort Strictness = C.SANDLOCK_BEST_EFFORT
	Disable    Strictness = C.SANDLOCK_DISABLE
)

// A Feature can be required, and has a row in the report.
type Feature uint32

// The values of Feature; the manual (sandlock.h) says what each means.
const (
	FeatureAll               Feature = C.SANDLOCK_FEATURE_ALL
	FeatureFiles             Feature = C.SANDLOCK_FEATURE_FILES
	FeatureFilesRefer        Feature = C.SANDLOCK_FEATURE_FILES_REFER
	FeatureFilesTruncate     Feature = C.SANDLOCK_FEATURE_FILES_TRUNCATE
	FeatureFilesIoctlDev     Feature = C.SANDLOCK_FEATURE_FILES_IOCTL_DEV
	FeatureFilesMetadata     Feature = C.SANDLOCK_FEATURE_FILES_METADATA
	FeatureNetwork           Feature = C.SANDLOCK_FEATURE_NETWORK
	FeatureSignalScope       Feature = C.SANDLOCK_FEATURE_SIGNAL_SCOPE
	FeatureAbstractUnixScope Feature = C.SANDLOCK_FEATURE_ABSTRACT_UNIX_SCOPE
	FeatureSyscalls          Feature = C.SANDLOCK_FEATURE_SYSCALLS
	FeatureNoNewPrivs        Feature = C.SANDLOCK_FEATURE_NO_NEW_PRIVS
	FeatureCapabilities      Feature = C.SANDLOCK_FEATURE_CAPABILITIES
	FeatureDescriptors       Feature = C.SANDLOCK_FEATURE_DESCRIPTORS
	FeatureSession           Feature = C.SANDLOCK_FEATURE_SESSION
	FeatureParentDeath       Feature = C.SANDLOCK_FEATURE_PARENT_DEATH
	FeatureKillAll           Feature = C.SANDLOCK_FEATURE_KILL_ALL
	FeatureLimits            Feature = C.SANDLOCK_FEATURE_LIMITS
	FeatureNoCoreDump        Feature = C.SANDLOCK_FEATURE_NO_COREDUMP
	FeatureNoASLR            Feature = C.SANDLOCK_FEATURE_NO_ASLR
	FeatureNoHugePages       Feature = C.SANDLOCK_FEATURE_NO_HUGE_PAGES
	FeatureSupervisor        Feature = C.SANDLOCK_FEATURE_SUPERVISOR
	FeatureProcesses         Feature = C.SANDLOCK_FEATURE_PROCESSES
	FeatureNSUser            Feature = C.SANDLOCK_FEATURE_NS_USER
	FeatureNSIPC             Feature = C.SANDLOCK_FEATURE_NS_IPC
	FeatureNSUTS             Feature = C.SANDLOCK_FEATURE_NS_UTS
	FeatureNSNet             Feature = C.SANDLOCK_FEATURE_NS_NET
	FeatureMemory            Feature = C.SANDLOCK_FEATURE_MEMORY
	FeatureNSPID             Feature = C.SANDLOCK_FEATURE_NS_PID
	FeatureNSMount           Feature = C.SANDLOCK_FEATURE_NS_MOUNT
	FeatureDisk              Feature = C.SANDLOCK_FEATURE_DISK
)

// An EventKind is what an observer is told of; kinds are or-ed together.
type EventKind uint64

// The values of EventKind; the manual (sandlock.h) says what each means.
const (
	EventExec          EventKind = C.SANDLOCK_EVENT_EXEC
	EventFork          EventKind = C.SANDLOCK_EVENT_FORK
	EventExit          EventKind = C.SANDLOCK_EVENT_EXIT
	EventDenied        EventKind = C.SANDLOCK_EVENT_DENIED
	EventLimit         EventKind = C.SANDLOCK_EVENT_LIMIT
	EventHandlerFailed EventKind = C.SANDLOCK_EVENT_HANDLER_FAILED
	EventMissing       EventKind = C.SANDLOCK_EVENT_MISSING
	EventAll           EventKind = C.SANDLOCK_EVENT_ALL
)

// A Protocol of a port.
type Protocol uint32

// The values of Protocol; the manual (sandlock.h) says what each means.
const (
	ProtocolTCP Protocol = C.SANDLOCK_PROTOCOL_TCP
	ProtocolUDP Protocol = C.SANDLOCK_PROTOCOL_UDP
)

// A State is what became of a feature.
type State uint32

// The values of State; the manual (sandlock.h) says what each means.
const (
	StateEnforced     State = C.SANDLOCK_STATE_ENFORCED
	StateDegraded     State = C.SANDLOCK_STATE_DEGRADED
	StateWaived       State = C.SANDLOCK_STATE_WAIVED
	StateUnavailable  State = C.SANDLOCK_STATE_UNAVAILABLE
	StateNotRequested State = C.SANDLOCK_STATE_NOT_REQUESTED
)

// A Level is a report in one word.
type Level uint32

// The values of Level; the manual (sandlock.h) says what each means.
const (
	LevelFull    Level = C.SANDLOCK_LEVEL_FULL
	LevelPartial Level = C.SANDLOCK_LEVEL_PARTIAL
	LevelNone    Level = C.SANDLOCK_LEVEL_NONE
)

// A Reason says why a sandbox ended.
type Reason uint32

// The values of Reason; the manual (sandlock.h) says what each means.
const (
	ReasonExited   Reason = C.SANDLOCK_REASON_EXITED
	ReasonSignaled Reason = C.SANDLOCK_REASON_SIGNALED
	ReasonTimeout  Reason = C.SANDLOCK_REASON_TIMEOUT
	ReasonLimit    Reason = C.SANDLOCK_REASON_LIMIT
	ReasonKilled   Reason = C.SANDLOCK_REASON_KILLED
	ReasonLost     Reason = C.SANDLOCK_REASON_LOST
)

// FDFlags say how a descriptor is given to a program.
type FDFlags uint64

// The values of FDFlags; the manual (sandlock.h) says what each means.
const (
	FDKeepOnExec FDFlags = C.SANDLOCK_FD_KEEP_ON_EXEC
)

// A LogLevel says how bad it is.
type LogLevel uint32

// The values of LogLevel; the manual (sandlock.h) says what each means.
const (
	LogError   LogLevel = C.SANDLOCK_LOG_ERROR
	LogWarning LogLevel = C.SANDLOCK_LOG_WARNING
)

// Unlimited, as the value of a limit of the sandbox as a whole, is none.
const Unlimited uint64 = C.SANDLOCK_UNLIMITED

var limitNames = [...]string{"none", "cpu", "nofile", "fsize", "core", "data", "as", "stack", "nproc", "memlock", "processes", "threads",
	"memory", "cpu-total", "wall", "cpu-share", "disk"}

// String gives the name that limits have in TOML: "cpu-total".
func (l Limit) String() string {
	if int(l) < len(limitNames) {
		return limitNames[l]
	}
	return "unknown"
}

// unit gives what values of a limit of the sandbox as a whole are counted in.
func (l Limit) unit() string {
	switch l {
	case LimitCPUTotal, LimitWall:
		return "ms"
	case LimitCPUShare:
		return "%"
	}
	return "bytes"
}

var reasonNames = [...]string{"unknown", "exited", "signaled", "timeout", "limit", "killed", "lost"}

// String gives the reason in one word.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return reasonNames[0]
}

package sandlock

// #include "bridge.h"
import "C"

import (
	"fmt"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// A Status says what kind of failure an Error is. It is an error itself, so that errors.Is(err, sandlock.StatusNotFound) asks
// for one. Later releases of the library may add some.
type Status int32

// The statuses of failures.
const (
	StatusInvalidArgument Status = C.SANDLOCK_ERROR_INVALID_ARGUMENT
	StatusState           Status = C.SANDLOCK_ERROR_STATE
	StatusUnsupported     Status = C.SANDLOCK_ERROR_UNSUPPORTED
	StatusPermission      Status = C.SANDLOCK_ERROR_PERMISSION
	StatusNotFound        Status = C.SANDLOCK_ERROR_NOT_FOUND
	StatusSystem          Status = C.SANDLOCK_ERROR_SYSTEM
	StatusChildSetup      Status = C.SANDLOCK_ERROR_CHILD_SETUP
	StatusExec            Status = C.SANDLOCK_ERROR_EXEC
	StatusTimeout         Status = C.SANDLOCK_ERROR_TIMEOUT
	StatusStale           Status = C.SANDLOCK_ERROR_STALE
	StatusBufferTooSmall  Status = C.SANDLOCK_ERROR_BUFFER_TOO_SMALL
	StatusWouldDeadlock   Status = C.SANDLOCK_ERROR_WOULD_DEADLOCK
	StatusCallback        Status = C.SANDLOCK_ERROR_CALLBACK
	StatusLimit           Status = C.SANDLOCK_ERROR_LIMIT
	StatusInternal        Status = C.SANDLOCK_ERROR_INTERNAL
)

// String gives the status's name: "INVALID_ARGUMENT".
func (s Status) String() string {
	return C.GoString(C.sandlock_status_name(C.int32_t(s)))
}

// Error makes a Status something to compare errors with.
func (s Status) Error() string {
	return "sandlock: " + s.String()
}

// A Stage is the step in which a call failed.
type Stage uint32

// The stages.
const (
	StageArguments   Stage = C.SANDLOCK_STAGE_ARGUMENTS
	StagePolicy      Stage = C.SANDLOCK_STAGE_POLICY
	StageLandlock    Stage = C.SANDLOCK_STAGE_LANDLOCK
	StageSeccomp     Stage = C.SANDLOCK_STAGE_SECCOMP
	StageDescriptors Stage = C.SANDLOCK_STAGE_DESCRIPTORS
	StageSpawn       Stage = C.SANDLOCK_STAGE_SPAWN
	StageProcess     Stage = C.SANDLOCK_STAGE_PROCESS
	StageCwd         Stage = C.SANDLOCK_STAGE_CWD
	StageLimits      Stage = C.SANDLOCK_STAGE_LIMITS
	StagePrivileges  Stage = C.SANDLOCK_STAGE_PRIVILEGES
	StageExec        Stage = C.SANDLOCK_STAGE_EXEC
	StageWait        Stage = C.SANDLOCK_STAGE_WAIT
	StageSupervisor  Stage = C.SANDLOCK_STAGE_SUPERVISOR
	StageNamespaces  Stage = C.SANDLOCK_STAGE_NAMESPACES
	StageNetwork     Stage = C.SANDLOCK_STAGE_NETWORK
)

var stageNames = [...]string{"none", "arguments", "policy", "landlock", "seccomp", "descriptors", "spawn", "process", "cwd", "limits",
	"privileges", "exec", "wait", "supervisor", "namespaces", "network"}

// String gives the stage in one word.
func (s Stage) String() string {
	if int(s) < len(stageNames) {
		return stageNames[s]
	}
	return "unknown"
}

// An Error is a failure of the library: typed by status, stage and errno, with one line of text. It unwraps to the
// syscall.Errno, if a system call is behind it, so that errors.Is(err, fs.ErrNotExist) works as ever.
type Error struct {
	Status  Status
	Stage   Stage
	Errno   syscall.Errno // 0 if no system call failed
	Message string        // step, object, reason; may change between releases
}

// Error gives the library's message.
func (e *Error) Error() string { return "sandlock: " + e.Message }

// Unwrap gives the errno, or nil if there is none.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// Is says whether target is this error's Status.
func (e *Error) Is(target error) bool {
	status, ok := target.(Status)
	return ok && status == e.Status
}

// failure makes an error of what a function of the library gave, and frees what that owns.
func failure(status C.sandlock_status, from *C.sandlock_error) error {
	if status == C.SANDLOCK_OK {
		return nil // and this much is inlined
	}
	return failed(status, from)
}

func failed(status C.sandlock_status, from *C.sandlock_error) error {
	defer C.sandlock_error_free(from)
	return &Error{
		Status:  Status(status),
		Stage:   Stage(C.sandlock_error_stage(from)),
		Errno:   syscall.Errno(C.sandlock_error_errno(from)),
		Message: C.GoString(C.sandlock_error_message(from)),
	}
}

func invalid(format string, a ...any) error {
	return &Error{Status: StatusInvalidArgument, Stage: StageArguments, Message: "arguments: " + fmt.Sprintf(format, a...)}
}

func closed(what string) error {
	return &Error{Status: StatusState, Stage: StageArguments, Message: "arguments: the " + what + " is closed"}
}

// cString copies a string for C. One that has a NUL in it would end there, and mean something else: it is refused.
func cString(text string) (*C.char, error) {
	if strings.IndexByte(text, 0) >= 0 {
		return nil, invalid("%q contains a NUL", text)
	}
	return C.CString(text), nil
}

// cStrings makes an array that NULL ends, for freeStrings to free.
func cStrings(texts []string) (**C.char, error) {
	array := (**C.char)(C.malloc(C.size_t(len(texts)+1) * C.size_t(unsafe.Sizeof((*C.char)(nil)))))
	entries := unsafe.Slice(array, len(texts)+1)
	for i := range entries {
		entries[i] = nil
	}
	for i, text := range texts {
		c, err := cString(text)
		if err != nil {
			freeStrings(array)
			return nil, err
		}
		entries[i] = c
	}
	return array, nil
}

func freeStrings(array **C.char) {
	if array == nil {
		return
	}
	for at := array; *at != nil; at = (**C.char)(unsafe.Add(unsafe.Pointer(at), unsafe.Sizeof(*at))) {
		C.free(unsafe.Pointer(*at))
	}
	C.free(unsafe.Pointer(array))
}

// goBytes copies what C has, of any length.
func goBytes(data unsafe.Pointer, length C.size_t) []byte {
	if length == 0 {
		return nil
	}
	return append([]byte(nil), unsafe.Slice((*byte)(data), int(length))...)
}

// milliseconds rounds up, so that a short time does not become none.
func milliseconds(d time.Duration) int64 {
	ms := d.Milliseconds()
	if time.Duration(ms)*time.Millisecond < d {
		ms++
	}
	return ms
}

package sandlock

// #include "bridge.h"
import "C"

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"
)

// A Result says what became of a run.
type Result struct {
	Reason       Reason
	Limit        Limit          // which limit of the sandbox as a whole was exceeded, or 0;
	LimitValue   uint64         // what the policy says of it,
	LimitReading uint64         // and what the library read
	ExitCode     int            // -1 if the program did not exit by itself
	Signal       syscall.Signal // that ended the program, or 0
	Stdout       []byte         // if it was captured,
	Stderr       []byte         // likewise
	// How many bytes came beyond the cap and were dropped.
	StdoutTruncated, StderrTruncated uint64
	Usage                            Usage
}

// Usage is what a run used.
type Usage struct {
	Wall, User, System time.Duration
	PeakRSS            uint64 // bytes
	PeakRSSIsBound     bool   // PeakRSS is an upper bound only
}

// Success says that the program exited by itself, with 0.
func (r *Result) Success() bool {
	return r.Reason == ReasonExited && r.ExitCode == 0
}

// String says how the run ended, in a few words: "exit status 1".
func (r *Result) String() string {
	switch {
	case r.Reason == ReasonExited:
		return fmt.Sprintf("exit status %d", r.ExitCode)
	case r.Reason == ReasonSignaled:
		return "signal: " + r.Signal.String()
	case r.Reason == ReasonLimit && r.Limit != 0:
		return fmt.Sprintf("limit exceeded: %v: %d %s, allowed %d %[3]s", r.Limit, r.LimitReading, r.Limit.unit(), r.LimitValue)
	case r.Reason == ReasonLimit:
		return "limit exceeded: captured output"
	}
	return r.Reason.String()
}

// An ExitError says that a program was run, and did not end by itself with exit code 0.
type ExitError struct {
	*Result
}

// Is says whether target is ErrTruncated, and the reason captured output beyond its cap.
func (e *ExitError) Is(target error) bool {
	return target == ErrTruncated && e.Reason == ReasonLimit && e.Limit == 0
}

// Error says how it ended.
func (e *ExitError) Error() string { return "sandlock: " + e.Result.String() }

// takeResult copies a result, and frees it.
func takeResult(c *C.sandlock_result) (*Result, error) {
	defer C.sandlock_result_free(c)
	var usage C.sandlock_usage
	var cerr *C.sandlock_error
	usage.size = C.sizeof_sandlock_usage
	if err := failure(C.sandlock_result_usage(c, &usage, &cerr), cerr); err != nil {
		return nil, err
	}
	var outLength, errLength C.size_t
	out, errs := C.sandlock_result_stdout(c, &outLength), C.sandlock_result_stderr(c, &errLength)
	return &Result{
		Reason:          Reason(C.sandlock_result_reason(c)),
		Limit:           Limit(C.sandlock_result_limit(c)),
		LimitValue:      uint64(C.sandlock_result_limit_value(c)),
		LimitReading:    uint64(C.sandlock_result_limit_reading(c)),
		ExitCode:        int(C.sandlock_result_exit_code(c)),
		Signal:          syscall.Signal(C.sandlock_result_signal(c)),
		Stdout:          goBytes(unsafe.Pointer(out), outLength),
		Stderr:          goBytes(unsafe.Pointer(errs), errLength),
		StdoutTruncated: uint64(C.sandlock_result_truncated(c, 1)),
		StderrTruncated: uint64(C.sandlock_result_truncated(c, 2)),
		Usage: Usage{
			Wall:           microseconds(usage.wall_us),
			User:           microseconds(usage.user_us),
			System:         microseconds(usage.system_us),
			PeakRSS:        uint64(usage.peak_rss),
			PeakRSSIsBound: usage.flags&C.SANDLOCK_USAGE_PEAK_RSS_IS_BOUND != 0,
		},
	}, nil
}

func microseconds(us C.uint64_t) time.Duration {
	return time.Duration(us) * time.Microsecond
}

package sandlock

// #include "bridge.h"
import "C"

import (
	"runtime"
	"syscall"
)

// A Report says what the kernel was found to enforce on a program.
type Report struct {
	c *C.sandlock_report // never changes; freed when nobody has the report any more
}

// A ReportEntry says what became of one feature.
type ReportEntry struct {
	Feature   Feature
	Requested Strictness
	State     State
	Errno     syscall.Errno // behind a state that is not StateEnforced, or 0
	Name      string        // of the feature: "files"
	Mechanism string        // what enforces it: "landlock"
	Detail    string
}

func ownReport(c *C.sandlock_report) *Report {
	r := &Report{c}
	runtime.SetFinalizer(r, func(r *Report) { C.sandlock_report_free(r.c) })
	return r
}

// Level gives the report in one word.
func (r *Report) Level() Level {
	defer runtime.KeepAlive(r)
	return Level(C.sandlock_report_level(r.c))
}

// JSON gives the report as one line of JSON.
func (r *Report) JSON() string {
	defer runtime.KeepAlive(r)
	return C.GoString(C.sandlock_report_json(r.c))
}

// Entries gives a row for each feature, in the order of Feature.
func (r *Report) Entries() ([]ReportEntry, error) {
	defer runtime.KeepAlive(r)
	entries := make([]ReportEntry, C.sandlock_report_count(r.c))
	for i := range entries {
		var row C.sandlock_report_entry
		var cerr *C.sandlock_error
		row.size = C.sizeof_sandlock_report_entry
		if err := failure(C.sandlock_report_row(r.c, C.size_t(i), &row, &cerr), cerr); err != nil {
			return nil, err
		}
		entries[i] = ReportEntry{
			Feature:   Feature(row.feature),
			Requested: Strictness(row.requested),
			State:     State(row.state),
			Errno:     syscall.Errno(row.errno_value),
			Name:      C.GoString(row.name),
			Mechanism: C.GoString(row.mechanism),
			Detail:    C.GoString(row.detail),
		}
	}
	return entries, nil
}

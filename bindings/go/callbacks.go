package sandlock

// #include "bridge.h"
import "C"

import (
	"runtime/cgo"
	"runtime/debug"
)

// What a handler returns that has failed: any number but the two that are known.
const handlerFailed = -1

// sandlockGoHandler is called by a thread of the library. No panic leaves it.
//
//export sandlockGoHandler
func sandlockGoHandler(notification *C.sandlock_notification, function C.uintptr_t) (verdict C.int32_t) {
	verdict = handlerFailed
	h := cgo.Handle(function).Value().(*handler)
	call := &Call{trapped: trapped{c: C.go_call{now: notification}}}
	defer recovered(h.panicked)
	defer call.expire()
	h.call(call)
	if call.passed {
		return C.SANDLOCK_HANDLER_PASS
	}
	return C.SANDLOCK_HANDLER_DONE
}

// sandlockGoObserver likewise.
//
//export sandlockGoObserver
func sandlockGoObserver(event *C.sandlock_event, function C.uintptr_t) {
	h := cgo.Handle(function).Value().(*handler)
	defer recovered(h.panicked)
	h.observe(goEvent(event))
}

// recovered is deferred around functions of others: it tells of a panic, and goes on.
func recovered(tell func(value any, stack []byte)) {
	value := recover()
	if value == nil || tell == nil {
		return
	}
	defer func() { _ = recover() }()
	tell(value, debug.Stack())
}

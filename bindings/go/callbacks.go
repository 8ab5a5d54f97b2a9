package sandlock

// #include "bridge.h"
import "C"

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// functions are those that C knows, by numbers, for it must not have pointers of Go. A cgo.Handle would do, but every look for one
// allocates. Whoever changes the table makes a new one, so that a call need not wait to look.
var functions struct {
	mu    sync.Mutex
	known atomic.Pointer[[]*handler]
}

func makeKnown(h *handler) C.uintptr_t {
	functions.mu.Lock()
	defer functions.mu.Unlock()
	var table []*handler
	if known := functions.known.Load(); known != nil {
		table = append(table, *known...)
	}
	number := 0
	for number < len(table) && table[number] != nil {
		number++
	}
	if number == len(table) {
		table = append(table, nil)
	}
	table[number] = h
	functions.known.Store(&table)
	return C.uintptr_t(number)
}

func known(number C.uintptr_t) *handler { return (*functions.known.Load())[number] }

func forget(number C.uintptr_t) {
	functions.mu.Lock()
	defer functions.mu.Unlock()
	table := append([]*handler(nil), *functions.known.Load()...)
	table[number] = nil
	functions.known.Store(&table)
}

// What a handler returns that has failed: any number but the two that are known.
const handlerFailed = -1

// sandlockGoHandler is called by a thread of the library. No panic leaves it.
//
//export sandlockGoHandler
func sandlockGoHandler(notification, function C.uintptr_t) (verdict C.int32_t) {
	verdict = handlerFailed
	h := known(function)
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
	h := known(function)
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

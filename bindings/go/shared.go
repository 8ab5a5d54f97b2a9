package sandlock

import (
	"sync"
	"unsafe"
)

// shared is a handle of the library that goroutines use at the same time: it is freed when it is closed and nobody uses it.
type shared struct {
	what   string
	free   func(unsafe.Pointer)
	mu     sync.Mutex
	c      unsafe.Pointer
	users  int
	closed bool
}

// use gives the handle until done is called. Never nil, which the library may take for an argument that was left out.
func (s *shared) use() (unsafe.Pointer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, closed(s.what)
	}
	if s.c == nil {
		return nil, &Error{Status: StatusState, Stage: StageArguments, Message: "arguments: a zero value, for which nothing was made"}
	}
	s.users++
	return s.c, nil
}

func (s *shared) done() {
	s.mu.Lock()
	s.users--
	last := s.closed && s.users == 0
	s.mu.Unlock()
	if last {
		s.free(s.c)
	}
}

// close lets nobody use the handle from now on; false if it was closed before. The caller uses it itself.
func (s *shared) close() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.closed
	s.closed = true
	return first
}

// closing is how many of those that nobody has any more are closed at a time.
var closing = make(chan struct{}, 4)

// closeLater closes what was collected. That may take a moment, for a sandbox that runs is ended first, and finalizers wait for each
// other; but each that waits in C occupies a thread, which Go keeps, and a collection finds many.
func closeLater(collected interface{ Close() error }) {
	go func() {
		closing <- struct{}{}
		collected.Close()
		<-closing
	}()
}

package sandlock

// #include "bridge.h"
import "C"

import (
	"errors"
	"io"
	"os"
	"reflect"
	"runtime"
	"syscall"
	"time"
)

// streams are the standard streams of a Cmd: what the program is given, and what the host does meanwhile.
type streams struct {
	mode    [3]C.uint32_t
	fd      [3]C.int32_t
	given   [3]bool    // by StdinPipe and the like: mode and fd are set
	child   []*os.File // the program's ends, to be closed when it has them
	host    []*os.File // the host's ends, to be closed in the end
	input   *os.File   // that of standard input, if a goroutine fills it,
	outputs []*os.File // and those that goroutines empty
	copiers []func()   // to be run beside the program
	fed     chan error // from who fills the input,
	emptied chan error // and from each who empties an output
}

type direction bool

const (
	hostReads  direction = true
	hostWrites direction = false
)

// newPipe makes a pipe. The host's end is for Go's poller; the program's blocks, as programs expect.
func newPipe(d direction) (host *os.File, child int, err error) {
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return nil, -1, os.NewSyscallError("pipe2", err)
	}
	if d == hostReads {
		return hostFile(ends[0], "pipe"), ends[1], nil
	}
	return hostFile(ends[1], "pipe"), ends[0], nil
}

// hostFile makes a file of a descriptor that Go's poller waits for, so that closing it ends whoever waits.
func hostFile(fd int, name string) *os.File {
	syscall.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), name)
}

func (s *streams) pipe(which int, d direction) (*os.File, error) {
	host, child, err := newPipe(d)
	if err != nil {
		return nil, err
	}
	s.host, s.child = append(s.host, host), append(s.child, os.NewFile(uintptr(child), "pipe"))
	s.mode[which], s.fd[which] = C.SANDLOCK_STDIO_FD, C.int32_t(child)
	return host, nil
}

// lend gives a descriptor of a file of the caller's, who may close that while a start goes on that he no longer waits for.
func (s *streams) lend(file *os.File) (C.int32_t, error) {
	number := int(file.Fd())
	if number < 0 {
		return -1, invalid("the file %q is closed", file.Name())
	}
	fd, err := duplicate(number)
	runtime.KeepAlive(file)
	if err != nil {
		return -1, err
	}
	s.child = append(s.child, os.NewFile(uintptr(fd), file.Name()))
	return C.int32_t(fd), nil
}

// give makes a pipe whose end the caller of StdinPipe and the like gets.
func (s *streams) give(c *Cmd, which int) (*os.File, error) {
	if s.given[which] || c.Process != nil || c.waited {
		return nil, &Error{Status: StatusState, Stage: StageArguments, Message: "arguments: the pipe was given, or the Cmd started"}
	}
	file, err := s.pipe(which, direction(which != 0))
	s.given[which] = err == nil
	return file, err
}

// prepare says for each stream where it leads.
func (s *streams) prepare(c *Cmd) error {
	ends := [3]any{c.Stdin, c.Stdout, c.Stderr}
	for which, name := range [3]string{"Stdin", "Stdout", "Stderr"} {
		if file, ok := ends[which].(*os.File); ok && file == nil {
			ends[which] = nil
		}
		if s.given[which] {
			if ends[which] != nil {
				return invalid("%s is set, and %[1]sPipe was called", name)
			}
			continue
		}
		if err := s.lead(c, which, ends[which]); err != nil {
			return err
		}
	}
	return nil
}

func (s *streams) lead(c *Cmd, which int, end any) error {
	s.fd[which] = -1
	switch end := end.(type) {
	case nil:
		s.mode[which] = C.SANDLOCK_STDIO_NULL
		if c.Terminal != nil {
			s.mode[which] = C.SANDLOCK_STDIO_PTY
		}
	case *os.File:
		fd, err := s.lend(end)
		if err != nil {
			return err
		}
		s.mode[which], s.fd[which] = C.SANDLOCK_STDIO_FD, fd
	case capture:
		s.mode[which] = C.SANDLOCK_STDIO_CAPTURE
	default:
		if which == 2 && same(c.Stdout, c.Stderr) {
			s.mode[2], s.fd[2] = s.mode[1], s.fd[1]
			return nil
		}
		host, err := s.pipe(which, direction(which != 0))
		if err != nil {
			return err
		}
		if which == 0 {
			s.input = host
			s.copiers = append(s.copiers, func() { s.fed <- feed(host, c.Stdin) })
		} else {
			s.outputs = append(s.outputs, host)
			s.copiers = append(s.copiers, func() { s.emptied <- empty(host, end.(io.Writer)) })
		}
	}
	return nil
}

// same says whether both are one writer, also if that is of a type that cannot be compared.
func same(a, b io.Writer) bool {
	return a != nil && b != nil && reflect.TypeOf(a).Comparable() && reflect.TypeOf(b).Comparable() && a == b
}

// feed copies the input. A program that does not read all of it is no error.
func feed(to *os.File, from io.Reader) error {
	_, err := io.Copy(to, from)
	if closeErr := to.Close(); err == nil && !errors.Is(closeErr, os.ErrClosed) {
		err = closeErr
	}
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// empty copies output. If the writer fails, so does the program's next write. When the sandbox has ended, the file has a deadline:
// then somebody outside keeps the pipe open, or the writer is slow, and what is in the pipe is still to be had.
func empty(from *os.File, to io.Writer) error {
	defer from.Close()
	_, err := io.Copy(to, from)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	if err = from.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	raw, err := from.SyscallConn()
	if err != nil {
		return err
	}
	buffer := make([]byte, 64<<10)
	for total := 0; total < mostInPipe; {
		var count int
		var readErr error
		if err := raw.Read(func(fd uintptr) bool {
			count, readErr = syscall.Read(int(fd), buffer)
			return true // without waiting
		}); err != nil {
			return err
		}
		switch {
		case readErr == syscall.EINTR:
			continue
		case readErr != nil:
			return ErrWaitDelay // EAGAIN: nothing is there
		case count == 0:
			return nil
		}
		if _, err := to.Write(buffer[:count]); err != nil {
			return err
		}
		total += count
	}
	return ErrWaitDelay
}

// mostInPipe is what a pipe can hold when a program that has no privileges has made it as large as it can.
const mostInPipe = 1 << 20

func (s *streams) closeChildEnds() {
	for _, file := range s.child {
		file.Close()
	}
	s.child = nil
}

func (s *streams) closeHostEnds() {
	for _, file := range s.host {
		file.Close()
	}
}

// copyAll starts the goroutines. What they say finds room, whether or not somebody listens.
func (s *streams) copyAll() {
	s.fed, s.emptied = make(chan error, 1), make(chan error, len(s.outputs))
	for _, run := range s.copiers {
		go run()
	}
}

// finish waits for the goroutines when the sandbox has ended, and closes what is left. Somebody who keeps a pipe open, or a reader
// that gives nothing, is waited for as long as delay says; a writer that is slow, until it is ready, unless all is to end.
func (s *streams) finish(delay time.Duration, all bool) error {
	defer s.closeHostEnds()
	if delay <= 0 {
		delay = time.Second
	}
	late := time.NewTimer(delay)
	defer late.Stop()
	var tooLate <-chan time.Time
	if all {
		tooLate = late.C
	}
	if s.input != nil {
		s.input.Close()
	}
	for _, file := range s.outputs {
		file.SetReadDeadline(time.Now().Add(delay))
	}
	var first error
	for range s.outputs {
		select {
		case err := <-s.emptied:
			if first == nil {
				first = err
			}
		case <-tooLate:
			return ErrWaitDelay
		}
	}
	if s.input == nil {
		return first
	}
	select {
	case err := <-s.fed:
		if first == nil {
			first = err
		}
	case <-late.C:
		if first == nil {
			first = ErrWaitDelay
		}
	}
	return first
}

package sandlock

import (
	"bufio"
	"fmt"
	"io"
	"syscall"
	"testing"
)

// serve is a server on a port of 127.0.0.1 that says hello to each who connects, until the test ends.
func serve(t *testing.T) (port int) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(t, err)
	must(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(t, syscall.Listen(fd, 16))
	name, err := syscall.Getsockname(fd)
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			peer, _, err := syscall.Accept4(fd, syscall.SOCK_CLOEXEC)
			if err != nil {
				return
			}
			syscall.Write(peer, []byte("hello\n"))
			syscall.Close(peer)
		}
	}()
	t.Cleanup(func() {
		syscall.Shutdown(fd, syscall.SHUT_RD) // ends accept(2)
		<-done
		syscall.Close(fd)
	})
	return name.(*syscall.SockaddrInet4).Port
}

func TestNetworkRulesChangeWhileAProgramRuns(t *testing.T) {
	port := serve(t)
	policy := systemPolicy(t).AllowNet(fmt.Sprintf("tcp://127.0.0.1:%d", port)).SetFlag(FlagNetUpdates, true)
	script := fmt.Sprintf("while read word; do if exec 3<>/dev/tcp/127.0.0.1/%d; then echo reached; else echo refused; fi; done", port)
	cmd := Command(limitedContext(t), policy, "bash", "-c", script)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	answers := bufio.NewReader(out)
	try := func(expected string) {
		t.Helper()
		_, err := io.WriteString(in, "go\n")
		must(t, err)
		line, err := answers.ReadString('\n')
		must(t, err)
		equal(t, line, expected+"\n")
	}
	try("reached")
	must(t, cmd.Process.UpdateNet([]string{}, nil))
	try("refused")
	must(t, cmd.Process.UpdateNet(nil, nil))
	try("reached")
	must(t, cmd.Process.UpdateNet(nil, []string{"127.0.0.0/8"}))
	try("refused")
	in.Close()
	must(t, cmd.Wait())
}

func TestPortsAreTheSandboxesOwn(t *testing.T) {
	policy := systemPolicy(t).SetFlag(FlagPortRemap, true).AllowBind("8080").AllowPath("/dev/null", AccessAll)
	cmd := Command(limitedContext(t), policy, "python3", "-c",
		"import socket\ns = socket.create_server(('127.0.0.1', 8080))\nprint(s.getsockname()[1], flush=True)\ninput()")
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	equal(t, line, "8080\n")
	ports, err := cmd.Process.Ports()
	must(t, err)
	equal(t, len(ports), 1)
	equal(t, ports[0].Protocol, ProtocolTCP)
	equal(t, ports[0].Inside, 8080)
	equal(t, ports[0].Outside > 1023, true)
	io.WriteString(in, "\n")
	must(t, cmd.Wait())
}

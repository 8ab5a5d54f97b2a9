// What a program in Go does with a network: c-tests/test_net_programs.c runs it under rules.
//
//	net_go get ADDRESS         dials, and prints the last line of what a server of HTTP answers
//	net_go lookup NAME         addresses, as Go's own resolver finds them and as libc's does
//	net_go interfaces          their names and addresses
//	net_go serve ADDRESS       prints the port, and serves one request
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"strings"
	"syscall"
)

func get(address string) error {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	if _, err = io.WriteString(connection, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return err
	}
	answer, err := io.ReadAll(connection)
	lines := strings.Split(strings.TrimSpace(string(answer)), "\n")
	fmt.Println(lines[len(lines)-1])
	return err
}

func lookup(name string) error {
	for _, own := range []bool{true, false} {
		resolver := net.Resolver{PreferGo: own}
		found, err := resolver.LookupHost(context.Background(), name)
		if err != nil {
			return err
		}
		sort.Strings(found)
		fmt.Println(strings.Join(found, " "))
	}
	return nil
}

func interfaces() error {
	found, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, one := range found {
		addresses, err := one.Addrs()
		if err != nil {
			return err
		}
		fmt.Println(one.Name, addresses)
	}
	return nil
}

func serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	connection, err := listener.Accept()
	if err != nil {
		return err
	}
	defer connection.Close()
	text, err := bufio.NewReader(connection).ReadString('\n')
	if err == nil {
		_, err = io.WriteString(connection, strings.ToUpper(text))
	}
	return err
}

func main() {
	err := errors.New("usage: net_go get|lookup|interfaces|serve [ARGUMENT]")
	if len(os.Args) == 3 || len(os.Args) == 2 && os.Args[1] == "interfaces" {
		switch os.Args[1] {
		case "get":
			err = get(os.Args[2])
		case "lookup":
			err = lookup(os.Args[2])
		case "interfaces":
			err = interfaces()
		case "serve":
			err = serve(os.Args[2])
		}
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		fmt.Println(errno.Error())
		os.Exit(1)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
}

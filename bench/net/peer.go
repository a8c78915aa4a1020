// SPDX-License-Identifier: MIT

// The servers of net.h in Go: a goroutine for each connection.
package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"runtime"
)

const response = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" +
	"Content-Length: 5\r\n\r\nhello"
const end = "\r\n\r\n"
const small, large = 2048, 65536

// As many as the smallest requests that a buffer has room for.
var responses = bytes.Repeat([]byte(response), small/len(end))

// requests tells how many requests end in data; state is how much of an empty
// line the bytes before it were.
func requests(state *int, data []byte) int {
	found := 0
	for _, c := range data {
		if c == end[*state] {
			*state++
		} else if c == '\r' {
			*state = 1
		} else {
			*state = 0
		}
		if *state == len(end) {
			*state = 0
			found++
		}
	}
	return found
}

func echo(connection net.Conn) {
	buffer := make([]byte, small)
	defer connection.Close()
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err = connection.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func http(connection net.Conn) {
	buffer, state := make([]byte, small), 0
	defer connection.Close()
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		n = requests(&state, buffer[:n])
		_, err = connection.Write(responses[:n*len(response)])
		if err != nil {
			return
		}
	}
}

func sink(connection net.Conn) {
	buffer := make([]byte, large)
	defer connection.Close()
	for {
		if _, err := connection.Read(buffer); err != nil {
			return
		}
	}
}

// io.Copy would splice, which takes more system calls for each message.
func pass(to, from net.Conn) {
	buffer := make([]byte, large)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if _, err = to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func proxy(client net.Conn, target string) {
	defer client.Close()
	server, err := net.Dial("tcp", "127.0.0.1:"+target)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		pass(server, client)
		server.(*net.TCPConn).CloseWrite()
	}()
	pass(client, server)
}

func main() {
	runtime.GOMAXPROCS(1)
	listener, err := net.Listen("tcp4", ":"+os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			continue
		}
		switch os.Args[2] {
		case "echo":
			go echo(connection)
		case "http":
			go http(connection)
		case "sink":
			go sink(connection)
		case "proxy":
			go proxy(connection, os.Args[3])
		}
	}
}

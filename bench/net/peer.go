// SPDX-License-Identifier: MIT

// The servers of net.h in Go: a goroutine for each connection.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
)

const response = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" +
	"Content-Length: 5\r\n\r\nhello"

// The requests of the benchmark are never split.
func answer(mode string, data []byte) []byte {
	switch mode {
	case "echo":
		return data
	case "http":
		n := bytes.Count(data, []byte("\r\n\r\n"))
		return bytes.Repeat([]byte(response), n)
	}
	return nil
}

func serve(connection net.Conn, mode string) {
	size := 2048
	if mode == "sink" {
		size = 65536
	}
	buffer := make([]byte, size)
	defer connection.Close()
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if mode == "sink" {
			continue
		}
		if _, err = connection.Write(answer(mode, buffer[:n])); err != nil {
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
		io.Copy(server, client)
		server.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(client, server)
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
		if os.Args[2] == "proxy" {
			go proxy(connection, os.Args[3])
		} else {
			go serve(connection, os.Args[2])
		}
	}
}

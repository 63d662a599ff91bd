// An echo server on Go's net package, with one goroutine per connection, on one processor.
package main

import (
	"fmt"
	"net"
	"runtime"
)

func echo(client net.Conn) {
	defer client.Close()
	buffer := make([]byte, 65536)
	for {
		size, err := client.Read(buffer)
		if err != nil {
			return
		}
		if _, err = client.Write(buffer[:size]); err != nil {
			return
		}
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	listening, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listening.Addr().(*net.TCPAddr).Port)
	for {
		if client, err := listening.Accept(); err == nil {
			go echo(client)
		}
	}
}

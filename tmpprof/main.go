package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/fengqiao/fengqiao/node"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var dir, listen string
	for i, a := range os.Args {
		if a == "--data" {
			dir = os.Args[i+1]
		}
		if a == "--listen" {
			listen = os.Args[i+1]
		}
	}
	debug.SetGCPercent(300)
	debug.SetMemoryLimit(300 << 20)
	n, err := node.New(node.Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		panic(err)
	}
	go http.ListenAndServe("127.0.0.1:24100", nil)
	fmt.Println(n.Serve(ctx, l))
	n.Close()
}

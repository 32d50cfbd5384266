// Command bench measures a box as people meet it: the released binary in a
// process of its own, over HTTP, on this machine's disk. What it prints is
// what node/DESIGN.md quotes. It is a module of its own, so that what it
// compares with never becomes a dependency of the product.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are shared by all measurements.
type options struct {
	binary  string        // the built fengqiao
	dir     string        // scratch; emptied where a measurement needs it
	port    int           // first of the ports used on 127.0.0.1
	runs    int           // interleaved runs per figure
	length  time.Duration // of one run
	records int           // of the large box
	queries int           // per list, for percentiles
}

// measurements by name; each prints its own table.
var measurements = map[string]func(context.Context, options) error{
	"create":     measureCreate,
	"lists":      measureLists,
	"seed":       seedLarge,
	"ready":      measureReady,
	"memory":     measureMemory,
	"pocketbase": servePocketBase, // the child process of create
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || measurements[args[0]] == nil {
		return errors.New("usage: bench create|lists|seed|ready|memory [flags]")
	}
	var o options
	f := flag.NewFlagSet(args[0], flag.ContinueOnError)
	f.StringVar(&o.binary, "binary", "../../bin/fengqiao", "released binary")
	f.StringVar(&o.dir, "dir", "../../tmp/bench", "scratch directory, on the disk to be measured")
	f.IntVar(&o.port, "port", 24000, "first port on 127.0.0.1")
	f.IntVar(&o.runs, "runs", 5, "interleaved runs per figure")
	f.DurationVar(&o.length, "length", 4*time.Second, "length of one run")
	f.IntVar(&o.records, "records", 1_000_000, "records of the large box")
	f.IntVar(&o.queries, "queries", 1000, "queries per list")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	return measurements[args[0]](ctx, o)
}

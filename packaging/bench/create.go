package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// crowds are how many clients write at once.
var crowds = []int{1, 16, 64}

// contestant is a system whose creates are counted.
type contestant struct {
	name   string
	create func(c, n int) error
	freeze func() error
	thaw   func() error
	rates  map[int][]float64
	p99    map[int][]float64
}

// measureCreate compares acknowledged creates per second: the box, which
// syncs before it answers, and PocketBase, which does not. Runs take turns
// and the one that waits is stopped, so that neither works in the other's
// time.
func measureCreate(ctx context.Context, o options) (err error) {
	box := filepath.Join(o.dir, "create")
	if err := os.RemoveAll(box); err != nil {
		return err
	}
	if err := township(ctx, box); err != nil {
		return err
	}
	p, err := startFengqiao(ctx, o, box)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	f, err := signIn(p, crowds[len(crowds)-1])
	if err != nil {
		return err
	}
	pb, err := startPocketBase(ctx, o, crowds[len(crowds)-1])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pb.thaw(), pb.kill()) }()
	a := &contestant{"fengqiao", f.create, f.freeze, f.thaw, map[int][]float64{}, map[int][]float64{}}
	b := &contestant{"pocketbase", pb.create, pb.freeze, pb.thaw, map[int][]float64{}, map[int][]float64{}}
	syncs, err := race(ctx, o, a, b)
	if err != nil {
		return err
	}
	printCreate(o, a, b, syncs)
	return nil
}

// race lets both take turns at every crowd; between them the disk's own
// sync rate is taken.
func race(ctx context.Context, o options, a, b *contestant) (syncs []float64, err error) {
	if err := errors.Join(a.freeze(), b.freeze()); err != nil {
		return nil, err
	}
	for _, clients := range crowds {
		for range o.runs {
			for _, c := range []*contestant{a, b} {
				if err := c.turn(ctx, clients, o.length); err != nil {
					return nil, fmt.Errorf("%s: %w", c.name, err)
				}
			}
			n, err := syncRate(o.dir, o.length/4)
			if err != nil {
				return nil, err
			}
			syncs = append(syncs, n)
		}
	}
	return syncs, errors.Join(a.thaw(), b.thaw())
}

func (c *contestant) turn(ctx context.Context, clients int, length time.Duration) error {
	if err := c.thaw(); err != nil {
		return err
	}
	if _, err := press(ctx, clients, length/8, c.create); err != nil { // caches, connections
		return err
	}
	l, err := press(ctx, clients, length, c.create)
	if err != nil {
		return err
	}
	c.rates[clients] = append(c.rates[clients], l.rate())
	c.p99[clients] = append(c.p99[clients], float64(l.latency.percentile(.99).Microseconds())/1000)
	return c.freeze()
}

func printCreate(o options, a, b *contestant, syncs []float64) {
	fmt.Printf("durable creates over HTTP, median of %d interleaved runs of %s\n\n", o.runs, o.length)
	fmt.Println("| clients | fengqiao /s | p99 ms | pocketbase /s | p99 ms | ratio |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, n := range crowds {
		x, y := median(a.rates[n]), median(b.rates[n])
		fmt.Printf("| %d | %.0f | %.1f | %.0f | %.1f | %.2f |\n", n, x, median(a.p99[n]), y, median(b.p99[n]), x/y)
	}
	fmt.Printf("\ndisk: %.0f syncs/s of 2 KiB appended to zeroed room, one after another\n", median(syncs))
}

// syncRate is what the disk gives a writer that syncs each append, with
// nothing else in the way.
func syncRate(dir string, length time.Duration) (rate float64, err error) {
	const room, size = 16 << 20, 2 << 10
	f, err := os.CreateTemp(dir, "sync")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, room)); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i) | 1
	}
	start, n := time.Now(), 0
	for ; time.Since(start) < length; n++ {
		if _, err := f.WriteAt(data, int64(n*size)%(room-size)); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// measureReady takes the time from the start of the process to the first
// list answered, after kill -9, when the store lacks the last records.
func measureReady(ctx context.Context, o options) error {
	if err := seedLarge(ctx, o); err != nil {
		return err
	}
	dir := largeDir(o)
	var whole, lacking []float64
	for range o.runs {
		took, err := startAndKill(ctx, o, dir)
		if err != nil {
			return err
		}
		whole = append(whole, took.Seconds())
		if err := copyFile(filepath.Join(dir, "store.behind"), filepath.Join(dir, "box", "store.db")); err != nil {
			return err
		}
		if took, err = startAndKill(ctx, o, dir); err != nil {
			return err
		}
		lacking = append(lacking, took.Seconds())
	}
	fmt.Printf("| ready after kill -9, %d records, median of %d | s |\n|---|---|\n", o.records, o.runs)
	fmt.Printf("| the store has all | %.2f |\n| %d records, %d operations, are not in the store | %.2f |\n", median(whole), behind, 5*behind, median(lacking))
	return nil
}

// startAndKill serves a box until its first list is answered, and kills it.
func startAndKill(ctx context.Context, o options, dir string) (time.Duration, error) {
	token, err := os.ReadFile(filepath.Join(dir, "session"))
	if err != nil {
		if token, err = keepSession(ctx, o, dir); err != nil {
			return 0, err
		}
	}
	from := time.Now()
	p, err := startFengqiao(ctx, o, dir)
	if err != nil {
		return 0, err
	}
	f := &fengqiao{process: p, http: client(1), cookie: string(token)}
	_, err = f.get("/records?queue=mine&open=true&limit=50")
	took := time.Since(from)
	return took, errors.Join(err, p.kill())
}

// keepSession signs in once, so that the time of a start holds no password
// check; sessions survive a restart.
func keepSession(ctx context.Context, o options, dir string) ([]byte, error) {
	p, err := startFengqiao(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	f, err := signIn(p, 1)
	if err != nil {
		return nil, errors.Join(err, p.kill())
	}
	token := []byte(f.cookie)
	return token, errors.Join(os.WriteFile(filepath.Join(dir, "session"), token, 0o600), p.stop())
}

// measureMemory reads anonymous memory at rest and under load: 64 clients
// that create, step through lists and read the wall.
func measureMemory(ctx context.Context, o options) (err error) {
	if err := seedLarge(ctx, o); err != nil {
		return err
	}
	p, err := startFengqiao(ctx, o, largeDir(o))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	f, err := signIn(p, 64)
	if err != nil {
		return err
	}
	time.Sleep(30 * time.Second)
	idle, err := p.anonymous()
	if err != nil {
		return err
	}
	peak := 0.0
	watch, done := context.WithCancel(ctx)
	go func() {
		for watch.Err() == nil {
			if m, err := p.anonymous(); err == nil {
				peak = max(peak, m)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	l, err := press(ctx, 64, time.Minute, f.mixed)
	done()
	if err != nil {
		return err
	}
	info, err := os.Stat(o.binary)
	if err != nil {
		return err
	}
	fmt.Printf("| | MiB |\n|---|---|\n| anonymous memory, idle 30 s, %d records | %.0f |\n| highest in a minute of 64 clients, %.0f requests/s | %.0f |\n| binary with UI, stripped | %.0f |\n",
		o.records, idle, l.rate(), peak, float64(info.Size())/(1<<20))
	return nil
}

// mixed is a client's day in small: half of it writes.
func (f *fengqiao) mixed(c, n int) error {
	if n%2 == 0 {
		return f.create(c, n)
	}
	_, err := f.get(lists[rand.IntN(3)].path)
	return err
}

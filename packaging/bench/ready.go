package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// measureReady takes the time from the start of the process to the first
// list answered: after kill -9 under writing clients, and with a store that
// lacks the last records, more than a crash can leave.
func measureReady(ctx context.Context, o options) error {
	if err := seedLarge(ctx, o); err != nil {
		return err
	}
	var killed, lacking []float64
	for range o.runs {
		dir, err := workCopy(o, "box/store.db")
		if err == nil {
			err = writeAndKill(ctx, o, dir)
		}
		if err == nil {
			killed, err = startAndKill(ctx, o, dir, killed)
		}
		if err == nil {
			dir, err = workCopy(o, "store.behind")
		}
		if err == nil {
			lacking, err = startAndKill(ctx, o, dir, lacking)
		}
		if err != nil {
			return err
		}
	}
	fmt.Printf("| ready after kill -9, %d records, median of %d | s |\n|---|---|\n", o.records, o.runs)
	fmt.Printf("| killed while 64 clients write | %.2f |\n| %d records, %d operations, are not in the store | %.2f |\n", median(killed), behind, 5*behind, median(lacking))
	return nil
}

// writeAndKill lets 64 clients write and kills the box under them; their
// requests end as they may.
func writeAndKill(ctx context.Context, o options, dir string) error {
	p, err := startFengqiao(ctx, o, dir)
	if err != nil {
		return err
	}
	f, err := signIn(p, 64)
	if err != nil {
		return errors.Join(err, p.kill())
	}
	done := make(chan int, 1)
	go func() {
		l, _ := press(ctx, 64, o.length*2, f.create) // fails by the kill
		done <- len(l.latency)
	}()
	time.Sleep(o.length)
	err = p.kill()
	if n := <-done; n == 0 {
		err = errors.Join(err, errors.New("nothing was written before the kill"))
	}
	return err
}

// startAndKill serves a box until its first list is answered, kills it, and
// adds the seconds that it took.
func startAndKill(ctx context.Context, o options, dir string, all []float64) ([]float64, error) {
	session, err := os.ReadFile(filepath.Join(dir, "session"))
	if err != nil {
		return nil, err
	}
	from := time.Now()
	p, err := startFengqiao(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	f := &fengqiao{process: p, http: client(1), cookie: string(session)}
	_, err = f.get("/records?queue=mine&open=true&limit=50")
	took := time.Since(from)
	return append(all, took.Seconds()), errors.Join(err, p.kill())
}

// workCopy makes a box to write into beside the large one, with the store
// named. Segments of journal and index never change once written, so they
// are shared; a session is kept, so that no start pays for a password.
func workCopy(o options, store string) (string, error) {
	from, to := largeDir(o), filepath.Join(o.dir, "work")
	if err := os.RemoveAll(to); err != nil {
		return "", err
	}
	err := filepath.WalkDir(filepath.Join(from, "box"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		target := filepath.Join(to, rel)
		switch {
		case err != nil || rel == "box/store.db":
			return err
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case !d.Type().IsRegular():
			return nil
		case filepath.Ext(path) == ".seg" || filepath.Ext(path) == ".zap":
			return os.Link(path, target)
		}
		return copyFile(path, target)
	})
	return to, errors.Join(err, copyFile(filepath.Join(from, store), filepath.Join(to, "box", "store.db")),
		copyFile(filepath.Join(from, "session"), filepath.Join(to, "session")))
}

// measureMemory reads anonymous memory at rest and under load: 64 clients
// that create, step through lists and read the wall.
func measureMemory(ctx context.Context, o options) (err error) {
	if err := seedLarge(ctx, o); err != nil {
		return err
	}
	dir, err := workCopy(o, "box/store.db")
	if err != nil {
		return err
	}
	p, err := startFengqiao(ctx, o, dir)
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

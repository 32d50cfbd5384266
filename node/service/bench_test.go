package service

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// createMany creates events from several clients at once.
func createMany(b *testing.B, box *testBox, clients, n int) {
	b.Helper()
	jobs := make(chan int)
	var work sync.WaitGroup
	for range clients {
		work.Go(func() {
			for i := range jobs {
				in := Input{Fields: map[string]any{"title": fmt.Sprintf("第%d件", i), "type": "01", "village": village}}
				if _, err := box.Create(context.Background(), box.people["duty"], "event", "", in); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	work.Wait()
}

// BenchmarkCreate reports durable creates with 1, 16 and 64 clients at once.
func BenchmarkCreate(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			box := newTestBox(b)
			b.ResetTimer()
			createMany(b, box, clients, b.N)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
		})
	}
}

// BenchmarkView reads one record as its desk sees it.
func BenchmarkView(b *testing.B) {
	box := newTestBox(b)
	r := box.report("duty", "读取")
	box.check()
	for b.Loop() {
		if _, err := box.View(box.people["duty"], r.ID); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDesk asks what the duty desk and the wall ask all day.
func BenchmarkDesk(b *testing.B) {
	box := newTestBox(b)
	createMany(b, box, 16, 2000)
	ctx := context.Background()
	b.Run("workbench", func(b *testing.B) {
		for b.Loop() {
			if _, err := box.Workbench(ctx, box.people["duty"]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("wall", func(b *testing.B) {
		for b.Loop() {
			if _, err := box.Wall(ctx, "zh"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRebuild opens a box whose store is gone: every operation is read,
// folded and stored again.
func BenchmarkRebuild(b *testing.B) {
	const records = 2000
	box := newTestBox(b)
	createMany(b, box, 64, records)
	for b.Loop() {
		b.StopTimer()
		box.close()
		if err := os.Remove(filepath.Join(box.dir, "store.db")); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		box.open()
	}
	b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s")
}

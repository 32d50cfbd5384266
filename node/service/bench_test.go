package service

import (
	"context"
	"fmt"
	"testing"
)

// BenchmarkCreate reports durable creates with 1, 16 and 64 clients at once.
func BenchmarkCreate(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			box := newTestBox(b)
			caller := box.people["duty"]
			jobs := make(chan int)
			done := make(chan error, clients)
			for range clients {
				go func() {
					var err error
					for n := range jobs {
						_, err = box.Create(context.Background(), caller, "event", "", Input{Fields: map[string]any{"title": fmt.Sprintf("第%d件", n), "type": "01", "village": village}})
					}
					done <- err
				}()
			}
			b.ResetTimer()
			for n := range b.N {
				jobs <- n
			}
			close(jobs)
			for range clients {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
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

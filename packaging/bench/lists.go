package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// lists are what people and the wall look at all day.
var lists = []struct{ name, path string }{
	{"workbench", "/workbench"},
	{"wall", "/wall/snapshot"},
	{"queue by clock", "/records?queue=mine&open=true&limit=50"},
	{"newest", "/records?queue=incoming&limit=50"},
	{"overdue", "/records?queue=overdue&limit=50"},
	{"village", "/records?kind=event&village=%s&limit=50"},
	{"all, changed last", "/records?queue=all&kind=event&limit=50"},
}

// measureLists asks the same questions of a small and a large box. Both run
// at once and take turns, so that what else the machine does strikes both.
func measureLists(ctx context.Context, o options) (err error) {
	sizes := []int{behind, o.records}
	boxes := make([]*fengqiao, len(sizes))
	for i, n := range sizes {
		of := o
		of.records, of.port = n, o.port+i
		if err := seedLarge(ctx, of); err != nil {
			return err
		}
		p, err := startFengqiao(ctx, of, largeDir(of))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.stop()) }()
		if boxes[i], err = signIn(p, 1); err != nil {
			return err
		}
	}
	fmt.Printf("lists over HTTP, p50 and p99 of %d queries each, in turn\n\n| list | %d: p50 ms | p99 ms | %d: p50 ms | p99 ms | p99 ratio |\n|---|---|---|---|---|---|\n",
		o.queries, sizes[0], sizes[1])
	for _, l := range lists {
		var seen [2]samples
		for n := range o.queries + o.queries/10 {
			for i, f := range boxes {
				path := l.path
				if l.name == "village" {
					path = fmt.Sprintf(path, f.village)
				}
				from := time.Now()
				if _, err := f.get(path); err != nil {
					return err
				}
				if n >= o.queries/10 { // the first tenth warms up
					seen[i] = append(seen[i], time.Since(from))
				}
			}
		}
		fmt.Printf("| %s | %.1f | %.1f | %.1f | %.1f | %.2f |\n", l.name, ms(seen[0].percentile(.5)), ms(seen[0].percentile(.99)),
			ms(seen[1].percentile(.5)), ms(seen[1].percentile(.99)), ms(seen[1].percentile(.99))/ms(seen[0].percentile(.99)))
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

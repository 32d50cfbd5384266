package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
)

func init() {
	measurements["drive"] = func(ctx context.Context, o options) error {
		n, _ := strconv.Atoi(os.Getenv("N"))
		os.RemoveAll(o.dir + "/drive")
		if err := township(ctx, o.dir+"/drive"); err != nil {
			return err
		}
		p, err := startFengqiao(ctx, o, o.dir+"/drive")
		if err != nil {
			return err
		}
		defer p.stop()
		f, err := signIn(p, n)
		if err != nil {
			return err
		}
		press(ctx, n, o.length/8, f.create)
		done := make(chan struct{})
		go func() {
			if pr := os.Getenv("PROF"); pr != "" {
				res, err := http.Get("http://127.0.0.1:24100/debug/pprof/" + pr + "?seconds=" + fmt.Sprint(int(o.length.Seconds())-1))
				if err == nil {
					w, _ := os.Create("/tmp/w/bench/" + os.Getenv("OUT"))
					io.Copy(w, res.Body)
					w.Close()
				}
			}
			close(done)
		}()
		l, err := press(ctx, n, o.length, f.create)
		fmt.Printf("%d clients: %.0f/s p50 %v p99 %v\n", n, l.rate(), l.latency.percentile(.5), l.latency.percentile(.99))
		<-done
		return err
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// client is one keep-alive HTTP client for all systems compared.
func client(connections int) *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
}

// call sends a request, reads the whole answer, and fails on any status but
// the one wanted.
func call(c *http.Client, r *http.Request, want int) ([]byte, error) {
	res, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, err
	}
	if res.StatusCode != want {
		return nil, fmt.Errorf("%s %s: %s: %.300s", r.Method, r.URL.Path, res.Status, body)
	}
	return body, nil
}

func post(url string, body []byte) (*http.Request, error) {
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err == nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, err
}

// samples are durations of single requests.
type samples []time.Duration

func (s samples) percentile(p float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	s = slices.Sorted(slices.Values(s))
	return s[min(int(float64(len(s))*p), len(s)-1)]
}

// load is what one run saw.
type load struct {
	took    time.Duration
	latency samples
}

func (l load) rate() float64 { return float64(len(l.latency)) / l.took.Seconds() }

// press calls f from as many clients at once until the time is over. The
// first failure ends the run.
func press(ctx context.Context, clients int, length time.Duration, f func(client, n int) error) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var mu sync.Mutex
	var out load
	var failed error
	var work sync.WaitGroup
	start := time.Now()
	for c := range clients {
		work.Go(func() {
			var own samples
			var err error
			for n := 0; ctx.Err() == nil && err == nil; n++ {
				from := time.Now()
				if err = f(c, n); err == nil {
					own = append(own, time.Since(from))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			out.latency = append(out.latency, own...)
			if err != nil {
				failed = errors.Join(failed, err)
				cancel()
			}
		})
	}
	work.Wait()
	out.took = time.Since(start)
	return out, failed
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

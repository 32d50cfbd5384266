package httpapi

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"

	"github.com/fengqiao/fengqiao/node/service"
)

// hostEvery bounds how often the host is asked.
const hostEvery = 10 * time.Second

// metrics are the figures for Prometheus. No label carries an id.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	host     *host
}

func newMetrics(box *service.Box) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "fengqiao_http_requests_total", Help: "Requests by route, method and status."}, []string{"route", "method", "status"}),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "fengqiao_http_request_duration_seconds", Help: "Duration of requests by route.", Buckets: []float64{.001, .005, .02, .1, .5, 2, 10}}, []string{"route"}),
		host:     &host{dir: box.Dir()},
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.requests, m.seconds,
		gauge("fengqiao_journal_operations", "Operations of this incarnation.", func() float64 { return float64(box.Figures().Operations) }),
		gauge("fengqiao_store_lag_operations", "Answered operations not yet in the store.", func() float64 { return float64(box.Figures().Lag) }),
		gauge("fengqiao_records", "Records in the store.", func() float64 { return float64(box.Figures().Records) }),
		gauge("fengqiao_disk_free_bytes", "Free bytes of the data disk.", func() float64 { return float64(m.host.read().DiskFree) }),
		gauge("fengqiao_memory_available_bytes", "Available memory of the host.", func() float64 { return float64(m.host.read().MemoryAll - m.host.read().MemoryUsed) }),
		gauge("fengqiao_load1", "Load of the host over one minute.", func() float64 { return m.host.read().Load }),
	)
	return m
}

func (m *metrics) observe(route, method string, status int, d time.Duration) {
	if route == "" {
		route, method = "other", "other" // both are the client's own words
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(d.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// host asks the machine, at most every ten seconds.
type host struct {
	dir  string
	mu   sync.Mutex
	at   time.Time
	last hostFigures
}

type hostFigures struct {
	DiskFree, DiskTotal, MemoryUsed, MemoryAll int64
	Load                                       float64
}

func (h *host) read() hostFigures {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) < hostEvery {
		return h.last
	}
	h.at = time.Now()
	if u, err := disk.Usage(h.dir); err == nil {
		h.last.DiskFree, h.last.DiskTotal = int64(u.Free), int64(u.Total)
	}
	if v, err := mem.VirtualMemory(); err == nil {
		h.last.MemoryUsed, h.last.MemoryAll = int64(v.Total-v.Available), int64(v.Total)
	}
	if l, err := load.Avg(); err == nil {
		h.last.Load = l.Load1
	}
	return h.last
}

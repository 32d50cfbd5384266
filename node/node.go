// Package node puts one running box together: storage and use cases, the
// search index that follows them, and the HTTP interface. It is for the
// command line, for tests, and for whoever embeds a box.
package node

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/fengqiao/fengqiao/node/control"
	"github.com/fengqiao/fengqiao/node/httpapi"
	"github.com/fengqiao/fengqiao/node/service"
	"github.com/fengqiao/fengqiao/search"
)

// Options of a node.
type Options struct {
	Dir     string // made by Init
	Log     *slog.Logger
	Clock   service.Clock // nil: the system's
	UI      fs.FS         // nil: no pages, the API alone
	Version string
	Demo    bool
	Fatal   func(error) // see service.Options
	TLS     *TLS        // nil: plain HTTP, for this machine or behind a proxy
}

// TLS is how a node serves its LAN.
type TLS struct {
	Config *tls.Config
	Root   []byte // PEM, offered for installing; nil for a certificate that browsers know
}

// Node is a running box.
type Node struct {
	Box     *service.Box
	handler http.Handler
	index   *search.Index
	tls     *TLS
	stop    context.CancelFunc
	work    sync.WaitGroup
}

// Init makes a new box in dir.
func Init(dir string) error { return service.Init(dir) }

// New opens the box and starts following it.
func New(o Options) (*Node, error) {
	box, err := OpenBox(service.Options{Dir: o.Dir, Log: o.Log, Clock: o.Clock, Version: o.Version, Fatal: o.Fatal})
	if err != nil {
		return nil, err
	}
	index, err := search.Open(box.IndexDir())
	if err != nil {
		return nil, errors.Join(err, box.Close())
	}
	box.Connect(finder{index})
	web := httpapi.Options{Box: box, Log: o.Log, UI: o.UI, Version: o.Version, Demo: o.Demo, Secure: o.TLS != nil}
	if o.TLS != nil {
		web.Root = o.TLS.Root
	}
	server, err := httpapi.New(web)
	if err != nil {
		return nil, errors.Join(err, index.Close(), box.Close())
	}
	l, err := control.Listen(o.Dir)
	if err != nil {
		return nil, errors.Join(err, index.Close(), box.Close())
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &Node{Box: box, handler: server.Handler(), index: index, tls: o.TLS, stop: stop}
	n.work.Go(func() { serveDoor(ctx, l, door(box, o.Version), log) })
	n.work.Go(func() { index.Follow(ctx, source{box}, log) })
	return n, nil
}

// Door opens the box in dir for the technician's tools alone, as long as it
// is not running: tools then find it as they find a running one.
func Door(dir, version string, log *slog.Logger) (closeDoor func() error, err error) {
	box, err := OpenBox(service.Options{Dir: dir, Log: log, Version: version})
	if err != nil {
		return nil, err
	}
	l, err := control.Listen(dir)
	if err != nil {
		return nil, errors.Join(err, box.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		serveDoor(ctx, l, door(box, version), log)
	}()
	return func() error {
		stop()
		<-done
		return box.Close()
	}, nil
}

// serveDoor answers until ctx ends, and lets what runs then come to its end
// for a moment.
func serveDoor(ctx context.Context, l net.Listener, o control.Options, log *slog.Logger) {
	s := &http.Server{Handler: control.Handler(o), ReadHeaderTimeout: readHeaderLimit}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.Background(), shutdownLimit)
		defer cancel()
		if s.Shutdown(limit) != nil {
			_ = s.Close() // a tool that hangs does not keep the box
		}
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		log.Error("the door is closed", "err", err)
	}
	<-stopped
}

// Handler answers HTTP.
func (n *Node) Handler() http.Handler { return n.handler }

// Limits of the server. Streams lift the write limit for themselves.
const (
	readHeaderLimit = 10 * time.Second
	readLimit       = 10 * time.Minute // a large attachment over a thin line
	idleLimit       = 2 * time.Minute
	maxHeader       = 32 << 10
	shutdownLimit   = 10 * time.Second
)

// Serve answers on a listener until ctx ends.
func (n *Node) Serve(ctx context.Context, l net.Listener) error {
	base, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := &http.Server{Handler: n.handler, ReadHeaderTimeout: readHeaderLimit, ReadTimeout: readLimit, IdleTimeout: idleLimit,
		MaxHeaderBytes: maxHeader, BaseContext: func(net.Listener) context.Context { return base }}
	done := make(chan error, 1)
	go func() {
		if n.tls == nil {
			done <- s.Serve(l)
			return
		}
		s.TLSConfig = n.tls.Config
		done <- s.ServeTLS(l, "", "")
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	cancel() // ends the streams
	limit, stop := context.WithTimeout(context.Background(), shutdownLimit)
	defer stop()
	if err := s.Shutdown(limit); err != nil {
		return err
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close stops following and closes the box.
func (n *Node) Close() error {
	n.stop()
	n.work.Wait()
	return errors.Join(n.index.Close(), n.Box.Close())
}

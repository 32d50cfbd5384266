package certs

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func authority(t *testing.T, dir string, now time.Time) *Authority {
	t.Helper()
	a, err := open(dir, []string{"box.local", "zz-box"}, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestBrowserTrustsIt: whoever installed the root reaches the box by name
// and by address, over HTTP/2; nobody else does.
func TestBrowserTrustsIt(t *testing.T) {
	a := authority(t, t.TempDir(), time.Now())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{TLSConfig: a.Config(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })}
	go s.ServeTLS(l, "", "")
	defer s.Close()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.Root()) {
		t.Fatal("the root is no PEM")
	}
	for name, want := range map[string]bool{"127.0.0.1": true, "localhost": true, "box.local": true, "zz-box": true, "other.lan": false, "8.8.8.8": false} {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: name, NextProtos: []string{"h2"}})
		if (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if c.ConnectionState().NegotiatedProtocol != "h2" {
				t.Error("no HTTP/2")
			}
			c.Close()
		}
	}
	if _, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{ServerName: "localhost"}); err == nil {
		t.Error("trusted without its root")
	}
}

// TestRootVouchesForNobodyElse: a stolen root makes no certificate for a
// name of the outside.
func TestRootVouchesForNobodyElse(t *testing.T) {
	a := authority(t, t.TempDir(), time.Now())
	roots := x509.NewCertPool()
	roots.AddCert(a.root)
	for name, c := range map[string]*tls.Certificate{
		"www.example.com": must(t, a, []string{"www.example.com"}, nil),
		"8.8.8.8":         must(t, a, nil, []net.IP{net.ParseIP("8.8.8.8")}),
	} {
		if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err == nil {
			t.Errorf("%s: trusted", name)
		}
	}
}

func must(t *testing.T, a *Authority, names []string, ips []net.IP) *tls.Certificate {
	t.Helper()
	c, err := a.makeLeaf(names, ips)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRenewed: the same root over restarts, the same leaf while it is good,
// a new one in its last third; a box that was off for years is served too.
func TestRenewed(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	first := authority(t, dir, now)
	same := authority(t, dir, now.Add(200*24*time.Hour))
	late := authority(t, dir, now.Add(300*24*time.Hour))
	years := authority(t, dir, now.Add(3*365*24*time.Hour))
	serial := func(a *Authority) string { return a.leaf.Leaf.SerialNumber.String() }
	if serial(first) != serial(same) || serial(same) == serial(late) || serial(late) == serial(years) {
		t.Error("leaves:", serial(first), serial(same), serial(late), serial(years))
	}
	if string(first.Root()) != string(years.Root()) {
		t.Error("the root changed")
	}
	for _, name := range []string{"ca.pem", "server.pem"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}

// Package certs is a box's own certificate authority: it signs the
// certificate under which the box serves its LAN, where no public authority
// reaches. Browsers trust it once its root is installed on the computers of
// the township; names and addresses outside a private network it can never
// vouch for, so installing it costs nobody's safety elsewhere.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	rootLife = 10 * 365 * 24 * time.Hour
	leafLife = 397 * 24 * time.Hour // the longest that browsers accept
	renewAt  = leafLife / 3         // left over
	lookEach = time.Hour            // at addresses that changed
	backdate = 24 * time.Hour       // clients whose clock is behind
)

// privateNames and privateNets are all that the root may vouch for, besides
// the host's own names (RFC 1918, 4193, 6761, 6762, 8375).
var (
	privateNames = []string{"localhost", "local", "lan", "internal", "home.arpa"}
	privateNets  = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10", "::1/128"}
)

// Authority signs for one box.
type Authority struct {
	dir   string
	names []string // of the host, besides localhost and what the network gives
	now   func() time.Time

	mu     sync.Mutex
	root   *x509.Certificate
	rootKM *ecdsa.PrivateKey
	leaf   *tls.Certificate
	looked time.Time
}

// Open loads the authority in dir, or makes it for the host's names: then
// they are fixed in its root.
func Open(dir string, names []string) (*Authority, error) { return open(dir, names, time.Now) }

func open(dir string, names []string, now func() time.Time) (*Authority, error) {
	a := &Authority{dir: dir, names: names, now: now}
	root, key, err := load(filepath.Join(dir, "ca"))
	if errors.Is(err, fs.ErrNotExist) {
		root, key, err = a.makeRoot()
	}
	if err != nil {
		return nil, err
	}
	a.root, a.rootKM = root, key
	_, err = a.certificate()
	return a, err
}

// Root is the root in PEM, to be installed on the township's computers.
func (a *Authority) Root() []byte { return encode("CERTIFICATE", a.root.Raw) }

// Config serves the box's certificate and renews it in time.
func (a *Authority) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.certificate() }}
}

// certificate gives the leaf, a new one when it ends soon or the box has
// other addresses.
func (a *Authority) certificate() (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.leaf != nil && now.Sub(a.looked).Abs() < lookEach {
		return a.leaf, nil
	}
	a.looked = now
	names, ips := a.subjects()
	if a.leaf == nil {
		a.leaf = a.stored()
	}
	if a.leaf != nil && a.fits(a.leaf.Leaf, now, names, ips) {
		return a.leaf, nil
	}
	leaf, err := a.makeLeaf(names, ips)
	if err != nil {
		return nil, err
	}
	a.leaf = leaf
	return leaf, nil
}

// stored is the leaf of an earlier run, nil when there is none to use.
func (a *Authority) stored() *tls.Certificate {
	leaf, key, err := load(filepath.Join(a.dir, "server"))
	if err != nil || leaf.CheckSignatureFrom(a.root) != nil {
		return nil
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, a.root.Raw}, PrivateKey: key, Leaf: leaf}
}

func (a *Authority) fits(leaf *x509.Certificate, now time.Time, names []string, ips []net.IP) bool {
	if now.Before(leaf.NotBefore) || leaf.NotAfter.Sub(now) < renewAt {
		return false
	}
	return !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(leaf.DNSNames, n) }) &&
		!slices.ContainsFunc(ips, func(ip net.IP) bool { return leaf.VerifyHostname(ip.String()) != nil })
}

// subjects are the names and addresses under which the LAN reaches the box
// and for which the root may vouch.
func (a *Authority) subjects() (names []string, ips []net.IP) {
	for _, n := range append([]string{"localhost"}, a.names...) {
		if slices.ContainsFunc(a.root.PermittedDNSDomains, func(d string) bool { return n == d || strings.HasSuffix(n, "."+d) }) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return names, nil
	}
	for _, address := range addresses {
		n, ok := address.(*net.IPNet)
		if ok && slices.ContainsFunc(a.root.PermittedIPRanges, func(r *net.IPNet) bool { return r.Contains(n.IP) }) {
			ips = append(ips, n.IP)
		}
	}
	return slices.Compact(names), ips
}

func (a *Authority) template(name string, life time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // never fails
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"Fengqiao"}},
		NotBefore: a.now().Add(-backdate), NotAfter: a.now().Add(life), BasicConstraintsValid: true}
}

func (a *Authority) makeRoot() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return nil, nil, err
	}
	t := a.template("Fengqiao box "+rand.Text()[:6], rootLife)
	t.IsCA, t.MaxPathLenZero, t.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	t.PermittedDNSDomainsCritical, t.PermittedDNSDomains = true, slices.Concat(privateNames, a.names)
	for _, n := range privateNets {
		_, net, err := net.ParseCIDR(n)
		if err != nil {
			return nil, nil, err
		}
		t.PermittedIPRanges = append(t.PermittedIPRanges, net)
	}
	return issue(filepath.Join(a.dir, "ca"), t, nil, nil)
}

func (a *Authority) makeLeaf(names []string, ips []net.IP) (*tls.Certificate, error) {
	t := a.template("Fengqiao", leafLife)
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.DNSNames, t.IPAddresses = names, ips
	leaf, key, err := issue(filepath.Join(a.dir, "server"), t, a.root, a.rootKM)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, a.root.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// issue draws a key, signs and keeps both in one file; a root signs itself.
func issue(path string, t, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if parent == nil {
		parent, parentKey = t, key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	if err := write(path+".pem", append(encode("PRIVATE KEY", private), encode("CERTIFICATE", der)...)); err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

// write replaces a file so that a crash leaves the old or the new one.
func write(path string, data []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func load(path string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	data, err := os.ReadFile(path + ".pem")
	if err != nil {
		return nil, nil, err
	}
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return nil, nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("certs: " + path + ": not a key of this release")
	}
	return pair.Leaf, key, nil
}

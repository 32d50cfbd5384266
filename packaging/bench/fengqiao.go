package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"

	"github.com/fengqiao/fengqiao/cmd/fengqiao/demo"
)

// fengqiao is a box under measurement and a signed-in duty officer.
type fengqiao struct {
	*process
	http    *http.Client
	cookie  string // of the session
	csrf    string
	village string
}

// township makes the demo township in dir where there is none yet.
func township(ctx context.Context, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "seeded")); err == nil {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if _, err := demo.Seed(ctx, filepath.Join(dir, "box"), func(string) {}); err != nil {
		return fmt.Errorf("township: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "seeded"), nil, 0o600)
}

// startFengqiao serves the box in dir.
func startFengqiao(ctx context.Context, o options, dir string) (*process, error) {
	address := fmt.Sprintf("127.0.0.1:%d", o.port)
	return start(ctx, filepath.Join(dir, "serve.log"), "http://"+address, "/api/v1/box",
		o.binary, "serve", "--data", filepath.Join(dir, "box"), "--listen", address, "--log", "warn")
}

// signIn signs the demo's duty officer in.
func signIn(p *process, connections int) (*fengqiao, error) {
	f := &fengqiao{process: p, http: client(connections)}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	f.http.Jar = jar
	body, err := f.send("/session", map[string]string{"username": "duty", "password": demo.Password}, http.StatusOK)
	if err != nil {
		return nil, err
	}
	home, err := url.Parse(p.url)
	if err != nil {
		return nil, err
	}
	f.cookie, f.http.Jar = jar.Cookies(home)[0].Value, nil
	var session struct{ CSRF string }
	if err := json.Unmarshal(body, &session); err != nil {
		return nil, err
	}
	f.csrf = session.CSRF
	return f, f.findVillage()
}

func (f *fengqiao) findVillage() error {
	body, err := f.get("/organisations")
	if err != nil {
		return err
	}
	var tree struct {
		Items []struct{ Code, Level string }
	}
	if err := json.Unmarshal(body, &tree); err != nil {
		return err
	}
	for _, o := range tree.Items {
		if o.Level == "village" {
			f.village = o.Code
			return nil
		}
	}
	return fs.ErrNotExist
}

func (f *fengqiao) get(path string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodGet, f.url+"/api/v1"+path, nil)
	if err != nil {
		return nil, err
	}
	f.authenticate(r)
	return call(f.http, r, http.StatusOK)
}

func (f *fengqiao) authenticate(r *http.Request) {
	if f.cookie != "" {
		r.AddCookie(&http.Cookie{Name: "fq_session", Value: f.cookie})
	}
}

func (f *fengqiao) send(path string, in any, want int) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	r, err := post(f.url+"/api/v1"+path, body)
	if err != nil {
		return nil, err
	}
	f.authenticate(r)
	r.Header.Set("X-CSRF-Token", f.csrf)
	r.Header.Set("Idempotency-Key", rand.Text())
	return call(f.http, r, want)
}

// create registers an event as the duty desk does.
func (f *fengqiao) create(c, n int) error {
	m := matter(c, n)
	m["village"], m["people/0/name"], m["people/0/phone"] = f.village, m["person"], m["phone"]
	delete(m, "person")
	delete(m, "phone")
	_, err := f.send("/records", map[string]any{"kind": "event", "step": "register", "fields": m}, http.StatusCreated)
	return err
}

// matter is the same report for every system compared.
func matter(c, n int) map[string]any {
	return map[string]any{
		"title": fmt.Sprintf("村口路灯不亮 %d-%d", c, n), "type": "01", "line": "livelihood", "urgency": "normal", "source": "grid",
		"scale": "01", "occurred_at": int64(1_780_000_000_000), "people_count": 3, "place": "枫源村文化礼堂东侧 20 米",
		"content": "主干道两盏路灯已三天不亮，夜间出行不便，请安排检修。本条为测量用的虚构数据。", "person": "赵某某", "phone": "13800001234",
	}
}

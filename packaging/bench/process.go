package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is a server under measurement.
type process struct {
	cmd *exec.Cmd
	url string
}

// start runs a server and waits until path answers.
func start(ctx context.Context, log, url, path string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), url: url}
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	c := client(1)
	for limit := time.Now().Add(2 * time.Minute); time.Now().Before(limit) && ctx.Err() == nil; time.Sleep(2 * time.Millisecond) {
		res, err := c.Get(url + path)
		if err == nil {
			res.Body.Close()
			if res.StatusCode < 500 {
				return p, nil
			}
		}
	}
	return nil, errors.Join(fmt.Errorf("%s does not answer, see %s", name, log), p.kill())
}

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// freeze keeps a server from working while the other one is measured.
func (p *process) freeze() error { return p.signal(syscall.SIGSTOP) }
func (p *process) thaw() error   { return p.signal(syscall.SIGCONT) }

// kill is kill -9.
func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	p.cmd.Wait() // reports the kill itself
	return err
}

// stop ends it as an administrator would.
func (p *process) stop() error {
	if err := errors.Join(p.thaw(), p.signal(syscall.SIGTERM)); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// anonymous is the process's anonymous memory in MiB; pages of mapped files
// belong to the page cache.
func (p *process) anonymous() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "RssAnon: %f kB", &kib); err == nil {
			return kib / 1024, nil
		}
	}
	return 0, errors.New("no RssAnon in /proc")
}

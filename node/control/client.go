package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// Client speaks through the door of a running box.
type Client struct {
	http *http.Client
	// Progress hears how far a call is; nil hears nothing.
	Progress func(Progress)
}

// Dial finds the running box in dir; ErrClosed when there is none.
func Dial(dir string) (*Client, error) {
	probe, err := dial(dir)
	if err != nil {
		return nil, err
	}
	if err := probe.Close(); err != nil {
		return nil, err
	}
	return &Client{http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return dial(dir) }}}}, nil
}

func (c *Client) request(ctx context.Context, tool string, in any, body io.Reader) (*http.Response, error) {
	args, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://box/"+tool+"?"+url.Values{argument: {string(args)}}.Encode(), body)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err == nil && res.StatusCode == http.StatusNotFound {
		err = errors.Join(fmt.Errorf("正在运行的版本没有这项功能，请先重启服务 / the running release has no %s, restart it first", tool), res.Body.Close())
	}
	return res, err
}

// Call has a tool work and reads its answer into out.
func (c *Client) Call(ctx context.Context, tool string, in any, body io.Reader, out any) error {
	res, err := c.request(ctx, tool, in, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	for dec := json.NewDecoder(res.Body); ; {
		var m message
		if err := dec.Decode(&m); err != nil {
			return fmt.Errorf("本机中断了应答，请查看它的日志 / the box broke off, see its log: %w", err)
		}
		switch {
		case m.Problem != nil:
			return m.Problem
		case m.Progress != nil:
			if c.Progress != nil {
				c.Progress(*m.Progress)
			}
		default:
			return json.Unmarshal(m.Result, out)
		}
	}
}

// Fetch has a tool write its output to w. What was written counts only when
// there is no error.
func (c *Client) Fetch(ctx context.Context, tool string, in any, w io.Writer) error {
	res, err := c.request(ctx, tool, in, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(w, res.Body); err != nil {
		return err
	}
	switch end := res.Trailer.Get(trailer); end {
	case whole:
		return nil
	case "":
		return io.ErrUnexpectedEOF
	default:
		var p Problem
		if err := json.Unmarshal([]byte(end), &p); err != nil {
			return err
		}
		return &p
	}
}

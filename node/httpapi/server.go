package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/fengqiao/fengqiao/node/service"
)

const (
	apiBase       = "/api/v1"
	cookieSession = "fq_session"
	cookieDisplay = "fq_display"
	cookieDevice  = "fq_device"
	deviceLife    = 180 * 24 * time.Hour
	bodyLimit     = 30 * time.Second // to send a JSON body; files have the server's own
)

// Options of a server.
type Options struct {
	Box     *service.Box
	Log     *slog.Logger
	UI      fs.FS
	Version string
	Demo    bool
	// Secure marks cookies for TLS only.
	Secure bool
	// Root is the box's own root certificate in PEM, nil when it has none.
	Root []byte
}

// Server answers HTTP for one box.
type Server struct {
	box      *service.Box
	log      *slog.Logger
	o        Options
	registry *registry
	schemas  *schemas
	document []byte
	engine   *gin.Engine
	metrics  *metrics
	origins  *http.CrossOriginProtection
	streams  *streams
}

// New builds the server. It fails only when a route is described wrongly.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{box: o.Box, log: o.Log, o: o, registry: routes(), origins: http.NewCrossOriginProtection(), streams: &streams{open: map[string]int{}}}
	var err error
	if s.document, err = s.registry.document(); err != nil {
		return nil, err
	}
	if s.schemas, err = compile(s.document, s.registry.routes); err != nil {
		return nil, err
	}
	s.metrics = newMetrics(o.Box)
	gin.SetMode(gin.ReleaseMode)
	s.engine = gin.New()
	s.engine.HandleMethodNotAllowed = true
	s.engine.Use(s.guard, s.sameOrigin)
	for _, r := range s.registry.routes {
		s.engine.Handle(r.Method, apiBase+r.Path, s.handle(r))
	}
	s.outside()
	return s, nil
}

// Handler is the whole interface.
func (s *Server) Handler() http.Handler { return s.engine }

// sameOrigin refuses writes that a page of another site sends: by
// Sec-Fetch-Site where the browser says it, else by Origin.
func (s *Server) sameOrigin(g *gin.Context) {
	if err := s.origins.Check(g.Request); err != nil {
		s.refuse(g, errOrigin)
	}
}

var errOrigin = problem{status: http.StatusForbidden, code: "cross_origin", zh: "请求来自其他网站，已拒绝。请直接打开本系统操作", en: "The request comes from another site. Open this system itself."}

// refuse answers a request that no route takes.
func (s *Server) refuse(g *gin.Context, p problem) {
	c := &call{Context: g, server: s, route: &Route{ID: "none"}, requestID: g.GetString("request_id")}
	c.fail(p)
}

// call is one request on its way.
type call struct {
	*gin.Context
	server    *Server
	route     *Route
	requestID string
	session   *service.Session
	caller    service.Caller
}

func (c *call) lang() string {
	if l := c.Context.Query("lang"); l == "zh" || l == "en" {
		return l
	}
	if strings.HasPrefix(strings.ToLower(c.GetHeader("Accept-Language")), "en") {
		return "en"
	}
	return "zh"
}

func (c *call) ctx() context.Context { return c.Request.Context() }

// address is the client's, for lockout and audit. The box stands at the
// edge of its LAN: no header of a proxy is believed. Of IPv6 it is the
// network, since one client has as many addresses as it likes.
func (c *call) address() string {
	at, err := netip.ParseAddrPort(c.Request.RemoteAddr)
	if err != nil {
		return c.Request.RemoteAddr
	}
	a := at.Addr().Unmap().WithZone("")
	if p, err := a.Prefix(64); err == nil && a.Is6() && !a.IsLoopback() {
		return p.String()
	}
	return a.String()
}

// origin is where somebody signs in from.
func (c *call) origin() service.Origin {
	device, _ := c.Cookie(cookieDevice) // a browser without one is new
	return service.Origin{Address: c.address(), Device: device}
}

// guard sets headers, catches panics and logs without personal data.
func (s *Server) guard(c *gin.Context) {
	id := rand.Text()[:12]
	c.Set("request_id", id)
	h := c.Writer.Header()
	h.Set("X-Request-ID", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "geolocation=(self), camera=(self), microphone=()")
	h.Set("Content-Security-Policy", "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; frame-ancestors 'none'; form-action 'self'")
	start := time.Now()
	defer func() {
		if r := recover(); r != nil {
			s.log.Error("panic", "id", id, "panic", r, "stack", string(debug.Stack()))
			if !c.Writer.Written() {
				s.refuse(c, errInternal)
			}
		}
		s.metrics.observe(c.FullPath(), c.Request.Method, c.Writer.Status(), time.Since(start))
		s.log.Debug("request", "id", id, "method", c.Request.Method, "route", c.FullPath(), "status", c.Writer.Status(), "ms", time.Since(start).Milliseconds())
	}()
	c.Next()
}

// handle runs a route: session, permission, CSRF, key, handler, answer.
func (s *Server) handle(r *Route) gin.HandlerFunc {
	return func(g *gin.Context) {
		c := &call{Context: g, server: s, route: r, requestID: g.GetString("request_id")}
		if err := c.admit(); err != nil {
			c.fail(err)
			return
		}
		if r.Repeat == RepeatAnswer {
			c.once()
			return
		}
		out, err := r.handler(c)
		if err != nil {
			if !g.Writer.Written() {
				c.fail(err)
			}
			return
		}
		if r.Raw || g.Writer.Written() {
			return
		}
		body, err := encode(r, out)
		if err != nil {
			c.fail(err)
			return
		}
		c.reply(r.Status, body)
	}
}

func encode(r *Route, out any) ([]byte, error) {
	if r.Status == http.StatusNoContent {
		return nil, nil
	}
	return json.Marshal(out)
}

func (c *call) reply(status int, body []byte) {
	c.Header("Cache-Control", "no-store")
	if body == nil {
		c.Status(status)
		return
	}
	c.Data(status, "application/json; charset=utf-8", body)
}

// once runs a write whose answer is kept for its key.
func (c *call) once() {
	data, err := c.read()
	if err != nil {
		c.fail(err)
		return
	}
	key := c.caller.Key
	c.caller.Key = "" // the answer holds it, not the operations of which it is made
	c.Request.Body = io.NopCloser(bytes.NewReader(data))
	request := append([]byte(c.Request.Method+" "+c.Request.URL.RequestURI()+"\n"), data...)
	a, replayed, err := c.server.box.Once(c.caller, key, request, func() (service.Answer, error) {
		out, err := c.route.handler(c)
		if err != nil {
			return service.Answer{}, err
		}
		body, err := encode(c.route, out)
		return service.Answer{Status: c.route.Status, Body: body}, err
	})
	if err != nil {
		c.fail(err)
		return
	}
	if replayed {
		c.Header("Idempotent-Replayed", "true")
	}
	c.reply(a.Status, a.Body)
}

var (
	errNoKey = problem{status: http.StatusBadRequest, code: "idempotency_key_required", zh: "请求缺少提交编号，请刷新页面后重试", en: "The request has no Idempotency-Key. Reload the page."}
	errCSRF  = problem{status: http.StatusForbidden, code: "csrf", zh: "页面已过期，请刷新后重新提交；已填写的内容不会丢失", en: "The page has expired. Reload and submit again; nothing typed is lost."}
)

func (c *call) admit() error {
	_, shown := c.display()
	if c.route.Permission == PermNone || c.route.Permission == PermWall && shown {
		return c.form()
	}
	token, err := c.Cookie(cookieSession)
	if err != nil {
		return service.ErrSession
	}
	if c.session, c.caller, err = c.server.box.Session(token); err != nil {
		return err
	}
	c.caller.Lang = c.lang()
	if !Allowed(c.caller.Grants, c.route.Permission) {
		return service.ErrForbidden
	}
	if c.session.MustChange && c.route.Permission != PermSession {
		return problem{status: http.StatusForbidden, code: "password_change_required", zh: "首次登录请先修改密码", en: "Change your password first."}
	}
	if c.route.writes() && subtle.ConstantTimeCompare([]byte(c.GetHeader("X-CSRF-Token")), []byte(c.session.CSRF)) != 1 {
		return errCSRF
	}
	return c.form()
}

// form checks what needs no body: the conditions and the key.
func (c *call) form() error {
	if err := c.checkQuery(); err != nil {
		return err
	}
	return c.writeKey()
}

// writeKey takes the idempotency key that every write needs.
func (c *call) writeKey() error {
	if !c.route.writes() {
		return nil
	}
	key := c.GetHeader("Idempotency-Key")
	if len(key) < 8 || len(key) > 64 {
		return errNoKey
	}
	for _, r := range key {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return errNoKey
		}
	}
	c.caller.Key = key
	return nil
}

// display names the wall that shows itself with a token of its own.
func (c *call) display() (string, bool) {
	token, err := c.Cookie(cookieDisplay)
	if err != nil {
		return "", false
	}
	return c.server.box.DisplayName(token)
}

func (c *call) setSession(s *service.Session) {
	c.cookie(cookieSession, s.Token, time.Until(time.UnixMilli(s.Expires)), "/")
	if s.Device != "" {
		c.cookie(cookieDevice, s.Device, deviceLife, apiBase+"/session")
	}
}

// cookie sets one that scripts and other sites never see; over TLS, only
// there.
func (c *call) cookie(name, value string, life time.Duration, path string) {
	c.SetSameSite(http.SameSiteStrictMode)
	c.SetCookie(name, value, int(life.Seconds()), path, "", c.server.o.Secure || c.Request.TLS != nil, true)
}

func itoa(n int) string { return strconv.Itoa(n) }

// stream serves events until the client goes. Each event is one message
// with the change's number as its id.
func (c *call) stream(start func(send func(id, event string, data any) error) error, next func(ctx context.Context, send func(id, event string, data any) error) error) error {
	rc := http.NewResponseController(c.Writer)
	for _, lift := range []func(time.Time) error{rc.SetReadDeadline, rc.SetWriteDeadline} {
		if err := lift(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
	}
	h := c.Writer.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	c.Status(http.StatusOK)
	send := func(id, event string, data any) error {
		body, err := json.Marshal(data)
		if err != nil {
			return err
		}
		if err := rc.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		message := "event: " + event + "\ndata: " + string(body) + "\n\n"
		if id != "" {
			message = "id: " + id + "\n" + message
		}
		if _, err := c.Writer.WriteString(message); err != nil {
			return err
		}
		return rc.Flush()
	}
	if err := start(send); err != nil {
		return nil // the client is gone; the answer has begun
	}
	if err := next(c.ctx(), send); err != nil && c.ctx().Err() == nil {
		c.server.log.Debug("stream ended", "id", c.requestID, "err", err)
	}
	return nil
}

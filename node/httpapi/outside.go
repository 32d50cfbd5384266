package httpapi

import (
	"bytes"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"path"
	"strings"

	"github.com/gin-gonic/gin"
)

// entries are the pages of the UI; each is one HTML file.
var entries = map[string]string{"/": "app.html", "/app": "app.html", "/wall": "wall.html", "/m": "m.html", "/setup": "setup.html"}

// outside serves what is not the API: pages, assets, health, metrics.
func (s *Server) outside() {
	s.engine.GET("/livez", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	s.engine.GET("/readyz", s.readyz)
	s.engine.GET("/metrics", s.serveMetrics)
	s.engine.GET("/openapi.json", func(c *gin.Context) { c.Data(http.StatusOK, "application/json", s.document) })
	s.engine.GET("/ca.crt", s.rootCertificate)
	for route, file := range entries {
		s.engine.GET(route, s.page(file))
	}
	s.engine.GET("/app/*path", s.page("app.html"))
	s.engine.GET("/m/*path", s.page("m.html"))
	s.engine.GET("/assets/*path", s.asset)
	s.engine.GET("/paper.css", s.static("paper.css"))
	s.engine.NoRoute(func(c *gin.Context) { s.missing(c, http.StatusNotFound) })
	s.engine.NoMethod(func(c *gin.Context) { s.missing(c, http.StatusMethodNotAllowed) })
}

func (s *Server) missing(g *gin.Context, status int) {
	s.refuse(g, problem{status: status, code: "no_such_address", zh: "没有这个地址", en: "There is no such address."})
}

// readyz is true whenever local work is possible.
func (s *Server) readyz(c *gin.Context) {
	var out strings.Builder
	status := http.StatusOK
	for _, check := range s.box.Readiness("en") {
		mark := "[+]"
		if !check.OK {
			mark = "[-]"
			if check.Name == "journal" || check.Name == "store" || check.Name == "disk" {
				status = http.StatusServiceUnavailable
			}
		}
		out.WriteString(mark + check.Name + " " + check.Text + "\n")
	}
	c.String(status, out.String())
}

// rootCertificate is downloaded by whoever sets up a computer of the
// township; its fingerprint stands on the box's terminal.
func (s *Server) rootCertificate(c *gin.Context) {
	if s.o.Root == nil {
		s.missing(c, http.StatusNotFound)
		return
	}
	c.Header("Content-Disposition", `attachment; filename="fengqiao-ca.crt"`)
	c.Data(http.StatusOK, "application/x-x509-ca-cert", s.o.Root)
}

// serveMetrics answers this machine alone; others go through the console.
func (s *Server) serveMetrics(c *gin.Context) {
	host, _, err := net.SplitHostPort(c.Request.RemoteAddr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		s.missing(c, http.StatusNotFound)
		return
	}
	s.metrics.handler().ServeHTTP(c.Writer, c.Request)
}

func (s *Server) page(file string) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Header("Cache-Control", "no-cache")
		if file == "wall.html" {
			s.takeDisplay(c)
		}
		if s.serve(c, file) {
			return
		}
		if !s.serve(c, "index.html") {
			c.String(http.StatusNotFound, "界面没有构建，请先运行 make build。\nThe UI is not built; run make build.\n")
		}
	}
}

// takeDisplay turns the token of a display's address into its cookie.
func (s *Server) takeDisplay(c *gin.Context) {
	token := c.Query("token")
	if _, ok := s.box.DisplayName(token); ok {
		c.SetSameSite(http.SameSiteStrictMode)
		c.SetCookie(cookieDisplay, token, 365*24*3600, "/", "", s.o.Secure, true)
	}
}

func (s *Server) static(file string) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Header("Cache-Control", "no-cache")
		if !s.serve(c, file) {
			s.missing(c, http.StatusNotFound)
		}
	}
}

// asset serves hashed files for ever; one that is missing is missing, never
// a page in its place.
func (s *Server) asset(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=31536000, immutable")
	if !s.serve(c, path.Join("assets", path.Clean("/"+c.Param("path")))) {
		c.Header("Cache-Control", "no-store")
		s.missing(c, http.StatusNotFound)
	}
}

// serve sends a file of the UI, compressed beforehand where the browser
// takes it.
func (s *Server) serve(c *gin.Context, name string) bool {
	if s.o.UI == nil {
		return false
	}
	kind := mime.TypeByExtension(path.Ext(name))
	for _, enc := range []struct{ name, ext string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if !strings.Contains(c.GetHeader("Accept-Encoding"), enc.name) {
			continue
		}
		if data, err := fs.ReadFile(s.o.UI, name+enc.ext); err == nil {
			c.Header("Content-Encoding", enc.name)
			c.Header("Vary", "Accept-Encoding")
			c.Data(http.StatusOK, kind, data)
			return true
		}
	}
	data, err := fs.ReadFile(s.o.UI, name)
	if err != nil {
		return false
	}
	c.Header("Vary", "Accept-Encoding")
	c.Header("Content-Type", kind)
	c.Status(http.StatusOK)
	_, err = bytes.NewReader(data).WriteTo(c.Writer)
	return err == nil
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/node/api"
)

// asProgram makes the test binary the program itself, so that these tests
// use real processes: signals, kill -9, exit codes, the door between them.
const asProgram = "FENGQIAO_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// tool runs a command to its end and gives output and exit code.
func tool(t *testing.T, args ...string) (string, int) {
	t.Helper()
	out, err := program(args...).CombinedOutput()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Fatal(err)
	}
	code := 0
	if err != nil {
		code = err.(*exec.ExitError).ExitCode()
	}
	return string(out), code
}

func mustTool(t *testing.T, args ...string) string {
	t.Helper()
	out, code := tool(t, args...)
	if code != 0 {
		t.Fatalf("fengqiao %s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// server is a running `fengqiao serve`.
type server struct {
	t         *testing.T
	cmd       *exec.Cmd
	client    *http.Client
	url, code string
}

var (
	addressLine = regexp.MustCompile(`^\s+(https?://\S+)$`)
	codeLine    = regexp.MustCompile(`setup code: (\S+)`)
)

func serve(t *testing.T, dir string, more ...string) *server {
	t.Helper()
	s := &server{t: t, client: http.DefaultClient, cmd: program(append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--log", "error"}, more...)...)}
	if slices.Contains(more, "--tls") {
		s.client = &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			roots := x509.NewCertPool()
			pem, err := os.ReadFile(filepath.Join(dir, "identity", "tls", "ca.pem"))
			if err != nil || !roots.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("no root: %w", err)
			}
			return (&tls.Dialer{Config: &tls.Config{RootCAs: roots, NextProtos: []string{"h2"}}}).DialContext(ctx, network, address)
		}}}
	}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(syscall.SIGTERM) })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := addressLine.FindStringSubmatch(lines.Text()); m != nil {
			s.url = m[1]
		}
		if m := codeLine.FindStringSubmatch(lines.Text()); m != nil {
			s.code = m[1]
		}
		if s.code != "" || s.url != "" && s.founded() {
			break
		}
	}
	if s.url == "" {
		t.Fatal("the server did not start")
	}
	go io.Copy(io.Discard, out)
	return s
}

func (s *server) founded() bool {
	var box api.Box
	s.get("/box", &box)
	return !box.SetupNeeded
}

func (s *server) stop(sig os.Signal) {
	if s.cmd.ProcessState != nil {
		return
	}
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Error(err)
	}
	if err := s.cmd.Wait(); err != nil && sig == syscall.SIGTERM {
		s.t.Errorf("the server ended with %v", err)
	}
}

func (s *server) get(path string, out any) {
	s.t.Helper()
	res, err := s.client.Get(s.url + "/api/v1" + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(out); err != nil || res.StatusCode != 200 {
		s.t.Fatalf("%s: %d %v", path, res.StatusCode, err)
	}
}

func (s *server) post(path string, in, out any) int {
	s.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequest("POST", s.url+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprintf("key-%d", time.Now().UnixNano()))
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		s.t.Fatalf("%s: %d %v", path, res.StatusCode, err)
	}
	return res.StatusCode
}

// found walks the wizard and gives the emergency sheet.
func (s *server) found(code string) api.Sheet {
	s.t.Helper()
	in := api.SetupInput{Code: code, Organisation: "330681109", Name: "枫桥镇", TimeChecked: true, TimeSource: "own"}
	for _, role := range []string{"system_admin", "security_admin", "audit_admin"} {
		in.Admins = append(in.Admins, api.SetupAdmin{Role: role, Username: role, Name: "管理员", Password: "correct-horse-9"})
	}
	var sheet api.Sheet
	if status := s.post("/setup", in, &sheet); status != 201 || len(sheet.Secret) == 0 || len(sheet.Codes) == 0 {
		s.t.Fatalf("set-up: %d %+v", status, sheet)
	}
	return sheet
}

const divisionsCSV = "code,name,level,parent,lng,lat\n330681,诸暨市,county,330600,120.2361,29.7135\n330681109,枫桥镇,township,330681,120.44,29.79\n330681109290,枫源村,village,330681109,,\n"

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// newBox makes, serves and founds a box.
func newBox(t *testing.T, divisions string) (dir string, s *server, sheet api.Sheet) {
	dir = filepath.Join(t.TempDir(), "box")
	mustTool(t, "init", "--data", dir)
	s = serve(t, dir)
	mustTool(t, "import", "divisions", "--data", dir, divisions)
	return dir, s, s.found(s.code)
}

// TestTechnicianAtARunningBox walks a box's life from the terminal: lists,
// export into an empty box, backup and restore with sheet and stick alone.
func TestTechnicianAtARunningBox(t *testing.T) {
	dir, s, sheet := newBox(t, file(t, "d.csv", divisionsCSV))
	if again, code := tool(t, "setup-code", "--data", dir); code == 0 || !strings.Contains(again, "已经完成") {
		t.Fatalf("a second set-up: %s", again)
	}
	mustTool(t, "import", "stations", "--data", dir, file(t, "s.csv", "代码,名称,上级\n330681109-S01,执法中队,枫桥镇\n"))
	mustTool(t, "import", "committees", "--data", dir, file(t, "c.csv", "代码,名称,上级,简称\n330681109-C01,枫桥镇调委会,枫桥镇,枫\n"))
	out := mustTool(t, "import", "people", "--data", dir, file(t, "p.csv", "登录名,姓名,角色,单位\nduty01,赵值班,值班员,枫桥镇\nlead01,钱领导,分管领导,枫桥镇\nmed01,孙调解,调解员,枫桥镇调委会\n"))
	if strings.Count(out, "初始密码 / first password") != 3 {
		t.Fatal(out)
	}
	mustTool(t, "import", "rosters", "--data", dir, "--user", "duty01", file(t, "r.csv", "日期,班次,带班领导,值班人员\n2026-12-01,白班,lead01,duty01\n"))
	cases := file(t, "m.csv", "案号,案件名称,纠纷类别,调解委员会,申请人,被申请人,调解员\n枫人调〔2019〕001号,=采光纠纷,0201,枫桥镇调委会,甲某,乙某,med01\n")
	if out, code := tool(t, "import", "cases", "--data", dir, cases); code != 1 || !strings.Contains(out, "--user") {
		t.Fatalf("cases without a user: %d %s", code, out)
	}
	if out, code := tool(t, "import", "cases", "--data", dir, "--user", "med01", cases); code != 1 || !strings.Contains(out, "没有这项权限") {
		t.Fatalf("cases by a mediator: %d %s", code, out)
	}
	mustTool(t, "import", "cases", "--data", dir, "--user", "duty01", "--dry-run", cases)
	out = mustTool(t, "import", "cases", "--data", dir, "--user", "duty01", cases)
	mustTool(t, "import", "undo", "--data", dir, "--user", "lead01", "--", regexp.MustCompile(`import undo -- (\S+)`).FindStringSubmatch(out)[1])
	mustTool(t, "import", "cases", "--data", dir, "--user", "duty01", cases)
	mustTool(t, "import", "cases", "--data", dir, "--user", "duty01", "--kind", "event", file(t, "e.csv", "编号,事件名称,事件大类,发生村（社区）,发生时间\n旧1,老井塌陷,民生服务,枫源村,2024-02-20 10:00\n"))
	mustTool(t, "user", "reset-password", "--data", dir, "duty01")
	mustTool(t, "user", "unlock", "--data", dir, "duty01")
	stick := t.TempDir()
	mustTool(t, "backup", "create", "--data", dir, "--to", stick)
	running := mustTool(t, "check", "--data", dir, "--deep")
	s.stop(syscall.SIGTERM)
	first := exported(t, dir)
	takeBack(t, first)
	restored(t, stick, sheet, running)
}

// exported gives everything that a stopped box exports, by file name.
func exported(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	to := filepath.Join(t.TempDir(), "out")
	mustTool(t, "export", "--data", dir, "--to", to)
	files, err := os.ReadDir(to)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		if out[f.Name()], err = os.ReadFile(filepath.Join(to, f.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// takeBack imports an export into an empty box and compares its export.
func takeBack(t *testing.T, first map[string][]byte) {
	t.Helper()
	dir, s, _ := newBox(t, file(t, "d.csv", string(first["01-divisions.csv"])))
	for _, step := range [][]string{{"02-stations.csv", "stations"}, {"03-committees.csv", "committees"}, {"04-people.csv", "people"}, {"05-rosters.csv", "rosters", "--user", "duty01"},
		{"06-event.csv", "cases", "--user", "duty01", "--kind", "event"}, {"", "cases", "--user", "duty01", "--kind", "mediation"}} {
		name := step[0]
		for n := range first {
			if name == "" && strings.HasSuffix(n, "-mediation.csv") {
				name = n
			}
		}
		mustTool(t, append(append([]string{"import"}, step[1:]...), "--data", dir, file(t, name, string(first[name])))...)
	}
	s.stop(syscall.SIGTERM)
	second := exported(t, dir)
	if len(second) != len(first) {
		t.Fatalf("%d files, %d before", len(second), len(first))
	}
	for name, want := range first {
		if !bytes.Equal(second[name], want) {
			t.Errorf("%s:\n%s\n---\n%s", name, want, second[name])
		}
	}
}

var digestLine = regexp.MustCompile(`digest: (\w+)`)

// restored proves an archive with the sheet's key and compares the box with
// the one it came from.
func restored(t *testing.T, stick string, sheet api.Sheet, before string) {
	t.Helper()
	archives, err := filepath.Glob(filepath.Join(stick, "*.fqb"))
	if err != nil || len(archives) != 1 {
		t.Fatal(archives, err)
	}
	dir := filepath.Join(t.TempDir(), "again")
	t.Setenv("FENGQIAO_SHEET_KEY", "AGE-SECRET-KEY-1WRONG")
	if out, code := tool(t, "backup", "restore", "--data", dir, archives[0]); code != 1 || !strings.Contains(out, "密钥不对") {
		t.Fatalf("a wrong key: %d %s", code, out)
	}
	t.Setenv("FENGQIAO_SHEET_KEY", strings.Join(sheet.Secret, " "))
	mustTool(t, "backup", "verify", archives[0])
	mustTool(t, "backup", "restore", "--data", dir, archives[0])
	if out, code := tool(t, "backup", "restore", "--data", dir, archives[0]); code != 1 || !strings.Contains(out, "不是空的") {
		t.Fatalf("over a box: %d %s", code, out)
	}
	after := mustTool(t, "check", "--data", dir, "--deep")
	if a, b := digestLine.FindString(after), digestLine.FindString(before); a == "" || a != b {
		t.Fatalf("before %s, after %s", before, after)
	}
	serve(t, dir).stop(syscall.SIGTERM)
	segments, err := filepath.Glob(filepath.Join(dir, "*", "0000000001", "*.seg")) // journal or history
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	body, err := os.ReadFile(segments[0])
	if err == nil {
		body[900] ^= 1
		err = os.WriteFile(segments[0], body, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, code := tool(t, "check", "--data", dir); code != exitDamage || !strings.Contains(out, "[-]") {
		t.Fatalf("damage: exit %d, %s", code, out)
	}
}

// TestKillInTheMiddleOfAnImport: kill -9 while the rows are written leaves
// all of them or none, and the next import brings them.
func TestKillInTheMiddleOfAnImport(t *testing.T) {
	const rows = 3000
	dir, s, _ := newBox(t, file(t, "d.csv", divisionsCSV))
	mustTool(t, "import", "people", "--data", dir, file(t, "p.csv", "登录名,姓名,角色,单位\nduty01,赵值班,值班员,枫桥镇\n"))
	var b strings.Builder
	b.WriteString("编号,事件名称,事件大类,发生村（社区）\n")
	for i := range rows {
		fmt.Fprintf(&b, "旧%d,第%d件,民生服务,枫源村\n", i, i)
	}
	old := file(t, "e.csv", b.String())
	args := []string{"import", "cases", "--data", dir, "--user", "duty01", "--kind", "event", old}
	run := program(args...)
	progress, err := run.StderrPipe()
	if err == nil {
		err = run.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := progress.Read(make([]byte, 1)); err != nil { // rows are being written
		t.Fatal(err)
	}
	time.Sleep(time.Duration(rand.IntN(600)) * time.Millisecond)
	s.stop(syscall.SIGKILL)
	if _, err := io.Copy(io.Discard, progress); err != nil {
		t.Fatal(err)
	}
	t.Logf("the import ended with %v", run.Wait())
	count := func() int { return bytes.Count(exported(t, dir)["06-event.csv"], []byte("\n")) - 1 }
	if n := count(); n != 0 && n != rows {
		t.Fatalf("%d of %d rows", n, rows)
	} else if n == 0 {
		mustTool(t, args...)
	}
	if n := count(); n != rows {
		t.Fatalf("%d of %d rows", n, rows)
	}
	mustTool(t, "check", "--data", dir)
}

// TestServedAsAService: under its own root, telling systemd how it stands.
func TestServedAsAService(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	said := make(chan string, 100)
	go func() {
		buf := make([]byte, 100)
		for {
			n, err := l.Read(buf)
			if err != nil {
				return
			}
			said <- string(buf[:n])
		}
	}()
	dir := filepath.Join(t.TempDir(), "box")
	mustTool(t, "init", "--data", dir)
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "300000")
	s := serve(t, dir, "--tls")
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := <-said; got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	res, err := s.client.Get(s.url + "/ca.crt")
	if err != nil || res.Proto != "HTTP/2.0" {
		t.Fatal(res, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || !bytes.HasPrefix(body, []byte("-----BEGIN CERTIFICATE")) || bytes.Contains(body, []byte("PRIVATE")) {
		t.Fatalf("%s %v", body, err)
	}
	if out, code := tool(t, "serve", "--data", dir, "--listen", "127.0.0.1:0"); code != 1 || !strings.Contains(out, "另一个进程") {
		t.Fatalf("served twice: %d %s", code, out)
	}
	s.stop(syscall.SIGTERM)
	for got := range said {
		if got == "STOPPING=1" {
			return
		}
	}
}

// Package control is the door of a box for whoever stands at its terminal:
// a socket in the data directory that root and the box's own user may open.
// Behind it are the technician's tools, one code path whether the box was
// running already or the command line opened it for the call. Everything
// done there is audited as the technician's.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
	"github.com/fengqiao/fengqiao/node/store"
)

// ErrClosed means that no box runs in the directory.
var ErrClosed = errors.New("control: no box runs here")

const (
	argument = "in"      // of the query: arguments as JSON
	trailer  = "Problem" // of an output: whole, or why it is not
	whole    = "none"
	maxBody  = 64 << 20
)

// Progress says how far a call is; Total is 0 when it is not known.
type Progress struct {
	Stage       string
	Done, Total int64
}

// message is one line of an answer.
type message struct {
	Progress *Progress       `json:",omitempty"`
	Problem  *Problem        `json:",omitempty"`
	Result   json.RawMessage `json:",omitempty"`
}

// Problem is an error as a person reads it.
type Problem struct {
	Text   domain.Text
	Damage bool // stored bytes were changed
}

func (p *Problem) Error() string {
	if p.Text.ZH == "" {
		return p.Text.EN
	}
	return p.Text.ZH + " / " + p.Text.EN
}

// sentences of errors that a technician can meet.
var sentences = []struct {
	err  error
	text domain.Text
}{
	{service.ErrNotFound, domain.Text{ZH: "没有找到", EN: "not found"}},
	{service.ErrForbidden, domain.Text{ZH: "该账号没有这项权限", EN: "the account has no right to do this"}},
	{service.ErrUnknownKind, domain.Text{ZH: "没有这个种类，或者本机还没有完成首次设置", EN: "there is no such kind, or the box is not set up yet"}},
	{service.ErrNotSetUp, domain.Text{ZH: "本机还没有完成首次设置", EN: "the box is not set up yet"}},
	{service.ErrState, domain.Text{ZH: "现在不能这样做", EN: "this is not possible now"}},
	{service.ErrBehind, domain.Text{ZH: "系统正忙，请稍后再试", EN: "the box is busy, try again in a moment"}},
	{service.ErrFull, domain.Text{ZH: "磁盘已满，请先清理", EN: "the disk is full, free space first"}},
	{service.ErrStopping, domain.Text{ZH: "本机正在停止", EN: "the box is stopping"}},
	{store.ErrInUse, domain.Text{ZH: "另一个进程正在使用这个数据目录，但没有应答；请稍后再试或重启服务", EN: "another process uses this data directory and does not answer; try again or restart the service"}},
}

// Explain says an error for a person at the terminal.
func Explain(err error) *Problem {
	var done *Problem
	var wrong *service.InputError
	var j *envelope.DamageError
	var s *store.DamageError
	var a *audit.DamageError
	switch {
	case errors.As(err, &done):
		return done
	case errors.As(err, &wrong) && len(wrong.Fields) > 0:
		return &Problem{Text: wrong.Fields[0].Message}
	case errors.As(err, &j), errors.As(err, &s), errors.As(err, &a):
		return &Problem{Damage: true, Text: domain.Text{ZH: "数据已损坏，没有做任何改动：" + err.Error(), EN: "damage was found, nothing was changed"}}
	}
	for _, known := range sentences {
		if errors.Is(err, known.err) {
			return &Problem{Text: known.text}
		}
	}
	return &Problem{Text: domain.Text{EN: err.Error()}}
}

// Options of the door.
type Options struct {
	Box *service.Box
	// Plan and Archive make a backup; see node.
	Plan    func() (ArchivePlan, error)
	Archive func(ctx context.Context, w io.Writer) error
}

// ArchivePlan says what an archive will be.
type ArchivePlan struct {
	Name  string
	Bytes int64 // at most
}

// Handler answers behind the door.
func Handler(o Options) http.Handler {
	t := tools{o}
	mux := http.NewServeMux()
	for name, f := range map[string]func(*call) (any, error){
		"divisions": t.divisions, "import": t.importList, "undo-import": t.undoImport, "exports": t.exports,
		"reset-password": t.resetPassword, "unlock": t.unlock, "setup-code": t.setupCode, "new-sheet": t.newSheet, "confirm-clock": t.confirmClock, "check": t.check, "backup-plan": t.backupPlan,
	} {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) { answer(w, r, f) })
	}
	for name, f := range map[string]func(*call, io.Writer) error{"export": t.export, "backup": t.backup} {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) { output(w, r, f) })
	}
	return mux
}

// call is one use of a tool.
type call struct {
	ctx  context.Context
	args json.RawMessage
	body io.Reader
	out  *json.Encoder
	push func() error
}

func newCall(w http.ResponseWriter, r *http.Request) *call {
	rc := http.NewResponseController(w)
	return &call{ctx: r.Context(), args: json.RawMessage(r.URL.Query().Get(argument)), body: http.MaxBytesReader(w, r.Body, maxBody), out: json.NewEncoder(w), push: rc.Flush}
}

// progress tells how far the call is. A client that went away ends the
// call by its context.
func (c *call) progress(stage string, done, total int64) {
	if c.out.Encode(message{Progress: &Progress{stage, done, total}}) == nil {
		_ = c.push() // the next write says it again
	}
}

func answer(w http.ResponseWriter, r *http.Request, f func(*call) (any, error)) {
	c := newCall(w, r)
	result, err := f(c)
	var m message
	if err == nil {
		m.Result, err = json.Marshal(result)
	}
	if err != nil {
		m = message{Problem: Explain(err)}
	}
	if err := c.out.Encode(m); err != nil {
		panic(http.ErrAbortHandler) // the client is gone or learns it so
	}
}

func output(w http.ResponseWriter, r *http.Request, f func(*call, io.Writer) error) {
	w.Header().Set("Trailer", trailer)
	end := whole
	if err := f(newCall(w, r), w); err != nil {
		b, merr := json.Marshal(Explain(err))
		if merr != nil {
			panic(http.ErrAbortHandler)
		}
		end = string(b)
	}
	w.Header().Set(trailer, end)
}

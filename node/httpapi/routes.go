package httpapi

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
)

const (
	get  = http.MethodGet
	post = http.MethodPost
	put  = http.MethodPut
	del  = http.MethodDelete
)

// routes is the whole interface.
func routes() *registry {
	g := &registry{}
	sessionRoutes(g)
	recordRoutes(g)
	deskRoutes(g)
	wallRoutes(g)
	adminRoutes(g)
	return g
}

func sessionRoutes(g *registry) {
	add(g, Route{Method: get, Path: "/box", ID: "getBox", Summary: "Which box answers, and whether it is set up", Permission: PermNone, Status: 200},
		func(c *call, _ none) (api.Box, error) { return c.box(), nil })
	add(g, Route{Method: get, Path: "/session", ID: "getSession", Summary: "Who is signed in", Permission: PermSession, Status: 200},
		func(c *call, _ none) (api.Session, error) { return c.describe(), nil })
	add(g, Route{Method: post, Path: "/session", ID: "signIn", Summary: "Sign in", Permission: PermNone, Status: 200, Repeat: RepeatHarmless},
		func(c *call, in api.Credentials) (api.Session, error) {
			return c.begin(c.server.box.SignIn(c.ctx(), in.Username, in.Password, c.origin()))
		})
	add(g, Route{Method: post, Path: "/session/break-glass", ID: "breakGlass", Summary: "Sign in with a code of the emergency sheet", Permission: PermNone, Status: 200, Repeat: RepeatHarmless},
		func(c *call, in api.BreakGlass) (api.Session, error) {
			return c.begin(c.server.box.BreakGlass(c.ctx(), in.Code, in.Name, c.origin()))
		})
	add(g, Route{Method: del, Path: "/session", ID: "signOut", Summary: "Sign out", Permission: PermSession, Status: 204, Repeat: RepeatHarmless},
		func(c *call, _ none) (none, error) {
			c.cookie(cookieSession, "", -time.Second, "/")
			return none{}, c.server.box.SignOut(c.session)
		})
	add(g, Route{Method: post, Path: "/session/password", ID: "changePassword", Summary: "Change one's own password", Permission: PermSession, Status: 204, Repeat: RepeatAnswer},
		func(c *call, in api.PasswordChange) (none, error) {
			return none{}, c.server.box.ChangePassword(c.ctx(), c.session, c.caller, in.Old, in.New)
		})
	add(g, Route{Method: get, Path: "/setup", ID: "getSetup", Summary: "What the first-run wizard needs", Permission: PermNone, Status: 200},
		func(c *call, _ none) (api.SetupState, error) { return c.server.box.SetupState(c.lang()), nil })
	add(g, Route{Method: post, Path: "/setup", ID: "found", Summary: "Found the box", Permission: PermNone, Status: 201, Repeat: RepeatHarmless},
		func(c *call, in api.SetupInput) (api.Sheet, error) { return c.server.box.FoundFrom(c.ctx(), in) })
	add(g, Route{Method: post, Path: "/setup/clock", ID: "probeClock", Summary: "Ask a time server, before the box is founded", Permission: PermNone, Status: 200, Repeat: RepeatHarmless},
		func(c *call, in api.ClockProbe) (api.ClockMeasure, error) {
			return c.server.box.ProbeClock(c.ctx(), in)
		})
}

func (c *call) box() api.Box {
	b := c.server.box.Describe(c.lang())
	b.Version, b.Demo = c.server.o.Version, c.server.o.Demo
	return b
}

func (c *call) begin(s *service.Session, err error) (api.Session, error) {
	if err != nil {
		return api.Session{}, err
	}
	c.setSession(s)
	if c.session, c.caller, err = c.server.box.Session(s.Token); err != nil {
		return api.Session{}, err
	}
	return c.describe(), nil
}

func (c *call) describe() api.Session {
	c.caller.Lang = c.lang()
	s := c.server.box.DescribeSession(c.session, c.caller)
	s.Box = c.box()
	return s
}

// record reads the id in the path.
func (c *call) record() (envelope.RecordID, error) {
	id, err := envelope.ParseRecordID(c.Param("id"))
	if err != nil {
		return id, service.ErrNotFound
	}
	return id, nil
}

func recordRoutes(g *registry) {
	add(g, Route{Method: get, Path: "/catalogue", ID: "getCatalogue", Summary: "Kinds, code tables, roles", Permission: PermSession, Status: 200},
		func(c *call, _ none) (api.Catalogue, error) { return c.server.box.Catalogue(), nil })
	add(g, Route{Method: get, Path: "/organisations", ID: "listOrganisations", Summary: "The organisation tree", Permission: PermSession, Status: 200},
		func(c *call, _ none) (api.OrganisationList, error) { return c.server.box.Organisations(), nil })
	add(g, Route{Method: get, Path: "/people", ID: "listPeople", Summary: "Colleagues to pick, by role", Permission: PermMatters, Status: 200, Query: []Param{{Name: "role", Kind: text, Max: 64}}},
		func(c *call, _ none) (api.PersonList, error) { return c.server.box.People(c.Query("role")), nil })
	add(g, Route{Method: get, Path: "/records", ID: "listRecords", Summary: "A list of records", Permission: PermMatters, Status: 200, Query: queryRecords},
		func(c *call, _ none) (api.RecordPage, error) { return c.server.box.List(c.ctx(), c.caller, c.query()) })
	add(g, Route{Method: post, Path: "/records", ID: "createRecord", Summary: "Report a new matter", Permission: PermMatters, Status: 201, Repeat: RepeatOperation},
		func(c *call, in api.CreateInput) (api.Record, error) {
			r, err := c.server.box.Create(c.ctx(), c.caller, in.Kind, in.Step, service.Input{Fields: fieldsOf(in.Fields), Note: in.Note})
			if err != nil {
				return api.Record{}, err
			}
			return c.server.box.ViewAfter(c.caller, r.ID)
		})
	add(g, Route{Method: get, Path: "/records/:id", ID: "getRecord", Summary: "One record", Permission: PermMatters, Status: 200},
		func(c *call, _ none) (api.Record, error) { return c.view(c.record()) })
	add(g, Route{Method: post, Path: "/records/:id/steps/:step", ID: "takeStep", Summary: "Take a step on a record", Permission: PermAlarms, Status: 200, Repeat: RepeatOperation},
		func(c *call, in api.StepInput) (api.Record, error) {
			id, err := c.record()
			if err != nil {
				return api.Record{}, err
			}
			_, err = c.server.box.Step(c.ctx(), c.caller, id, c.Param("step"), in.Seen, service.Input{Fields: fieldsOf(in.Fields), Inputs: fieldsOf(in.Inputs), Note: in.Note})
			if err != nil {
				return api.Record{}, err
			}
			return c.server.box.ViewAfter(c.caller, id)
		})
	add(g, Route{Method: post, Path: "/records/:id/reveal", ID: "reveal", Summary: "See the full value of a masked field, with a reason that is logged", Permission: PermMatters, Status: 200, Repeat: RepeatHarmless},
		func(c *call, in api.RevealInput) (api.Revealed, error) {
			id, err := c.record()
			if err != nil {
				return api.Revealed{}, err
			}
			return c.server.box.Reveal(c.caller, id, in.Path, in.Reason, c.address())
		})
	add(g, Route{Method: get, Path: "/records/:id/changes", ID: "getChanges", Summary: "What happened since a version", Permission: PermMatters, Status: 200, Query: []Param{{Name: "since", Kind: text, Max: 200, Required: true}}},
		func(c *call, _ none) (api.Changes, error) {
			id, err := c.record()
			if err != nil {
				return api.Changes{}, err
			}
			return c.server.box.ChangesSince(c.caller, id, c.Query("since"))
		})
	add(g, Route{Method: post, Path: "/records/:id/presence", ID: "markPresence", Summary: "Say that the record is open here, and learn where else", Permission: PermMatters, Status: 200, Repeat: RepeatHarmless},
		func(c *call, _ none) (api.Presence, error) {
			id, err := c.record()
			if err != nil {
				return api.Presence{}, err
			}
			others, err := c.server.box.Present(c.caller, id)
			return api.Presence{Others: others}, err
		})
	raw(g, Route{Method: put, Path: "/records/:id/files", ID: "attachFile", Summary: "Attach a file (raw body)", Permission: PermMatters, Status: 200, Accepts: "application/octet-stream", Limit: service.MaxFile, Query: []Param{{Name: "name", Kind: text, Max: 400}, {Name: "document", Kind: text, Max: 64}}, Repeat: RepeatOperation}, attachFile)
	raw(g, Route{Method: get, Path: "/records/:id/files/:hash", ID: "getFile", Summary: "Read an attachment; logged", Permission: PermMatters, Status: 200, Answers: "application/octet-stream"}, getFile)
	raw(g, Route{Method: get, Path: "/records/:id/papers/:paper", ID: "getPaper", Summary: "A paper to print on A4", Permission: PermMatters, Status: 200, Answers: "text/html"}, getPaper)
	add(g, Route{Method: post, Path: "/similar", ID: "findSimilar", Summary: "Earlier matters of the caller and likely duplicates", Permission: PermMatters, Status: 200, Repeat: RepeatHarmless},
		func(c *call, in api.SimilarInput) (api.Similar, error) {
			return c.server.box.Similar(c.ctx(), c.caller, in.Kind, fieldsOf(in.Fields), in.ID)
		})
	add(g, Route{Method: get, Path: "/search", ID: "search", Summary: "Search everything that the caller may see", Permission: PermMatters, Status: 200, Query: querySearch},
		func(c *call, _ none) (api.SearchResult, error) {
			return c.server.box.Search(c.ctx(), c.caller, c.search())
		})
	add(g, Route{Method: post, Path: "/search/rebuild", ID: "rebuildIndex", Summary: "Build the search index again; health says how far it is", Permission: PermSystem, Status: 204, Repeat: RepeatHarmless},
		func(c *call, _ none) (none, error) { return none{}, c.server.box.RebuildIndex(c.caller) })
}

func (c *call) view(id envelope.RecordID, err error) (api.Record, error) {
	if err != nil {
		return api.Record{}, err
	}
	return c.server.box.View(c.caller, id)
}

// queryRecords and querySearch are the conditions of lists.
var (
	queryRecords = []Param{{Name: "queue", Kind: text, Max: 16, Enum: []string{"mine", "incoming", "overdue", "reported", "copied", "unread", "assigned", "all"}},
		{Name: "kind", Kind: text, Max: 400}, {Name: "state", Kind: text, Max: 64}, {Name: "holder", Kind: text, Max: 32}, {Name: "village", Kind: text, Max: 32},
		{Name: "open", Kind: boolean}, {Name: "overdue", Kind: boolean}, {Name: "from", Kind: whole}, {Name: "to", Kind: whole},
		{Name: "cursor", Kind: text, Max: 1400}, {Name: "limit", Kind: whole, Max: 200}}
	querySearch = []Param{{Name: "q", Kind: text, Max: 400}, {Name: "kind", Kind: text, Max: 64}, {Name: "type", Kind: text, Max: 64}, {Name: "village", Kind: text, Max: 32},
		{Name: "year", Kind: text, Max: 4}, {Name: "state", Kind: text, Max: 64}, {Name: "from", Kind: whole}, {Name: "to", Kind: whole},
		{Name: "sort", Kind: text, Max: 16}, {Name: "offset", Kind: whole, Max: 1_000_000}, {Name: "limit", Kind: whole, Max: 200}}
)

func (c *call) query() service.Query {
	q := service.Query{Queue: c.Query("queue"), State: c.Query("state"), Holder: c.Query("holder"), Village: c.Query("village"),
		Open: c.Query("open") == "true", Overdue: c.Query("overdue") == "true", From: c.int("from"), To: c.int("to"), Cursor: c.Query("cursor"), Limit: int(c.int("limit"))}
	if k := c.Query("kind"); k != "" {
		q.Kinds = strings.Split(k, ",")
	}
	if q.Limit == 0 {
		q.Limit = 50
	}
	return q
}

func (c *call) search() service.SearchQuery {
	return service.SearchQuery{Text: c.Query("q"), Kind: c.Query("kind"), Type: c.Query("type"), Village: c.Query("village"), Year: c.Query("year"),
		State: c.Query("state"), From: c.int("from"), To: c.int("to"), Sort: c.Query("sort"), Offset: int(c.int("offset")), Limit: int(c.int("limit"))}
}

func attachFile(c *call) error {
	id, err := c.record()
	if err != nil {
		return err
	}
	if c.Request.ContentLength > service.MaxFile {
		return c.tooLarge()
	}
	_, err = c.server.box.Attach(c.ctx(), c.caller, id, service.Upload{Name: c.Query("name"), Document: c.Query("document"),
		Media: c.GetHeader("Content-Type"), Body: io.LimitReader(c.Request.Body, service.MaxFile+1)})
	if err != nil {
		return err
	}
	view, err := c.server.box.ViewAfter(c.caller, id)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, view)
	return nil
}

func tooLarge(limit int64) problem {
	mb := strconv.FormatInt(limit>>20, 10)
	return problem{status: http.StatusRequestEntityTooLarge, code: "file_too_large",
		zh: "文件超过 " + mb + " MB，请压缩或拆分后再传", en: "The file exceeds " + mb + " MB. Compress or split it."}
}

func getFile(c *call) error {
	id, err := c.record()
	if err != nil {
		return err
	}
	b, err := hex.DecodeString(c.Param("hash"))
	if err != nil || len(b) != len(envelope.Hash{}) {
		return service.ErrNotFound
	}
	f, name, body, err := c.server.box.OpenFile(c.caller, id, envelope.Hash(b))
	if err != nil {
		return err
	}
	defer body.Close()
	// Never shown in place: a file from outside must not act as a page.
	c.DataFromReader(http.StatusOK, f.Size, f.Media, body, map[string]string{
		"Content-Disposition": "attachment; filename*=UTF-8''" + escape(name), "Cache-Control": "no-store"})
	return nil
}

// escape writes a file name for Content-Disposition (RFC 8187).
func escape(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
	}
	return b.String()
}

func getPaper(c *call) error {
	id, err := c.record()
	if err != nil {
		return err
	}
	page, err := c.server.box.Paper(c.caller, id, c.Param("paper"))
	if err != nil {
		return err
	}
	c.Header("Cache-Control", "no-store")
	c.Data(http.StatusOK, "text/html; charset=utf-8", page)
	return nil
}

func deskRoutes(g *registry) {
	add(g, Route{Method: get, Path: "/workbench", ID: "getWorkbench", Summary: "What the caller must do now", Permission: PermMatters, Status: 200},
		func(c *call, _ none) (api.Workbench, error) {
			w, err := c.server.box.Workbench(c.ctx(), c.caller)
			w.Box = c.box()
			return w, err
		})
	add(g, Route{Method: get, Path: "/alarms", ID: "listAlarms", Summary: "Alarms that stand", Permission: PermAlarms, Status: 200},
		func(c *call, _ none) (api.AlarmList, error) { return c.server.box.Alarms(c.caller) })
	add(g, Route{Method: get, Path: "/duty", ID: "getDuty", Summary: "Who is on duty", Permission: PermMatters, Status: 200},
		func(c *call, _ none) (api.DutyNow, error) { return c.server.box.Duty(c.caller) })
	add(g, Route{Method: get, Path: "/duty/roster", ID: "getRoster", Summary: "Shifts of a period", Permission: PermMatters, Status: 200, Query: []Param{{Name: "from", Kind: whole}, {Name: "to", Kind: whole}}},
		func(c *call, _ none) (api.Roster, error) {
			return c.server.box.Roster(c.caller, c.int("from"), c.int("to"))
		})
	add(g, Route{Method: get, Path: "/duty/shifts/:id/handover", ID: "getHandover", Summary: "What a leaving shift hands on", Permission: PermMatters, Status: 200},
		func(c *call, _ none) (api.Handover, error) {
			id, err := c.record()
			if err != nil {
				return api.Handover{}, err
			}
			return c.server.box.Handover(c.ctx(), c.caller, id)
		})
	add(g, Route{Method: get, Path: "/drafts", ID: "listDrafts", Summary: "One's own drafts", Permission: PermMatters, Status: 200},
		func(c *call, _ none) (api.DraftList, error) { return c.server.box.Drafts(c.caller) })
	add(g, Route{Method: put, Path: "/drafts/:id", ID: "saveDraft", Summary: "Keep what is being typed", Permission: PermMatters, Status: 204, Repeat: RepeatHarmless},
		func(c *call, in api.DraftInput) (none, error) {
			return none{}, c.server.box.SaveDraft(c.caller, c.Param("id"), in.Form, numbers(in.Data))
		})
	add(g, Route{Method: del, Path: "/drafts/:id", ID: "deleteDraft", Summary: "Forget a draft", Permission: PermMatters, Status: 204, Repeat: RepeatHarmless},
		func(c *call, _ none) (none, error) { return none{}, c.server.box.DeleteDraft(c.caller, c.Param("id")) })
	raw(g, Route{Method: get, Path: "/events", ID: "streamEvents", Summary: "Changes as they happen (SSE)", Permission: PermAlarms, Status: 200, Answers: "text/event-stream"}, func(c *call) error { return c.events(false) })
}

func wallRoutes(g *registry) {
	add(g, Route{Method: get, Path: "/wall/snapshot", ID: "getWall", Summary: "Everything that the wall shows; no personal data", Permission: PermWall, Status: 200},
		func(c *call, _ none) (api.WallSnapshot, error) {
			w, err := c.server.box.Wall(c.ctx(), c.lang())
			w.Box = c.box()
			return w, err
		})
	raw(g, Route{Method: get, Path: "/wall/outlines", ID: "getWallOutlines", Summary: "Outlines of villages and grids (GeoJSON)", Permission: PermWall, Status: 200, Answers: "application/geo+json"}, func(c *call) error {
		body, err := c.server.box.WallOutlines()
		if err != nil {
			return err
		}
		c.Header("Cache-Control", "no-store")
		c.Data(http.StatusOK, "application/geo+json", body)
		return nil
	})
	raw(g, Route{Method: get, Path: "/wall/events", ID: "streamWall", Summary: "Changes for the wall (SSE)", Permission: PermWall, Status: 200, Answers: "text/event-stream"}, func(c *call) error { return c.events(true) })
	add(g, Route{Method: post, Path: "/wall/beat", ID: "wallBeat", Summary: "What a wall says of itself", Permission: PermWall, Status: 204, Repeat: RepeatHarmless},
		func(c *call, in api.WallBeat) (none, error) {
			name := c.address()
			if display, ok := c.display(); ok {
				name = display + " " + name
			}
			c.server.box.WallBeat(name, in)
			return none{}, nil
		})
}

// liveEvent is one change on a stream: which record, never what.
type liveEvent struct {
	N    uint64 `json:"n"`
	ID   string `json:"id,omitempty"`
	Kind string `json:"kind"`
	New  bool   `json:"new,omitempty"`
}

const (
	pingEvery   = 15 * time.Second
	resumeLimit = 1000
)

// events streams changes. A listener hears of what they may see; the wall
// hears of what moves it, without ids.
func (c *call) events(wall bool) error {
	box := c.server.box
	leave, err := c.server.streams.enter(c.listener())
	if err != nil {
		return err
	}
	defer leave()
	ch, cancel := box.Subscribe()
	defer cancel()
	head, err := box.Head()
	if err != nil {
		return err
	}
	ping := func(send func(string, string, any) error) error {
		return send("", "ping", map[string]int64{"server_time": time.Now().UnixMilli()})
	}
	one := func(send func(string, string, any) error, e service.Event) error {
		if wall && !box.OnWall(e) || !wall && !box.MayHear(c.caller, e) {
			return nil
		}
		out := liveEvent{N: e.N, Kind: e.Kind, New: e.New}
		if !wall {
			out.ID = e.Record.String()
		}
		name := "change"
		if e.Alarm {
			name = "alarm"
		}
		return send(strconv.FormatUint(e.N, 10), name, out)
	}
	start := func(send func(string, string, any) error) error {
		if err := send(strconv.FormatUint(head, 10), "hello", map[string]any{"server_time": time.Now().UnixMilli(), "head": head, "boot": box.Boot()}); err != nil {
			return err
		}
		last, err := strconv.ParseUint(c.GetHeader("Last-Event-ID"), 10, 64)
		if err != nil {
			return nil
		}
		missed, ok, err := box.EventsAfter(last, resumeLimit)
		if err != nil || !ok || len(missed) == resumeLimit {
			return send("", "reset", map[string]any{})
		}
		for _, e := range missed {
			if err := one(send, e); err != nil {
				return err
			}
		}
		return nil
	}
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	return c.stream(start, func(ctx context.Context, send func(string, string, any) error) error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
				if err := c.stillAllowed(); err != nil {
					return err
				}
				if err := ping(send); err != nil {
					return err
				}
			case events, ok := <-ch:
				if !ok {
					return send("", "reset", map[string]any{})
				}
				if err := c.stillAllowed(); err != nil {
					return err
				}
				for _, e := range events {
					if err := one(send, e); err != nil {
						return err
					}
				}
			}
		}
	})
}

// listener names the session or display whose streams are counted.
func (c *call) listener() string {
	if c.session != nil {
		return c.session.Token
	}
	token, _ := c.Cookie(cookieDisplay) // admitted by it
	return token
}

// stillAllowed ends a stream whose session ended, and takes rights as they
// stand now.
func (c *call) stillAllowed() (err error) {
	if c.session == nil {
		if _, ok := c.display(); !ok {
			return service.ErrSession
		}
		return nil
	}
	lang := c.caller.Lang
	if c.caller, err = c.server.box.StillSignedIn(c.session.Token); err != nil {
		return err
	}
	c.caller.Lang = lang
	if !Allowed(c.caller.Grants, c.route.Permission) {
		return service.ErrForbidden
	}
	return nil
}

func adminRoutes(g *registry) {
	add(g, Route{Method: get, Path: "/accounts", ID: "listAccounts", Summary: "Every account", Permission: PermAccounts, Status: 200},
		func(c *call, _ none) (api.AccountList, error) { return c.server.box.Accounts(c.caller) })
	add(g, Route{Method: post, Path: "/accounts", ID: "createAccount", Summary: "Make an account; gives its first password once", Permission: PermAccounts, Status: 201, Repeat: RepeatAnswer},
		func(c *call, in api.AccountInput) (api.Account, error) {
			r, password, err := c.server.box.CreateAccount(c.ctx(), c.caller, service.NewAccount{Username: in.Username, Name: in.Name, Phone: in.Phone, Grants: grants(in.Grants)})
			if err != nil {
				return api.Account{}, err
			}
			a, err := c.server.box.Account(c.caller, r.ID)
			a.Initial = password
			return a, err
		})
	add(g, Route{Method: post, Path: "/accounts/:id/grants", ID: "setGrants", Summary: "Replace an account's roles", Permission: PermAccounts, Status: 200, Repeat: RepeatAnswer},
		func(c *call, in api.GrantsInput) (api.Account, error) {
			id, err := c.record()
			if err != nil {
				return api.Account{}, err
			}
			if _, err := c.server.box.SetGrants(c.ctx(), c.caller, id, grants(in.Grants)); err != nil {
				return api.Account{}, err
			}
			return c.server.box.Account(c.caller, id)
		})
	for _, action := range []string{"disable", "enable", "unlock", "password"} {
		add(g, Route{Method: post, Path: "/accounts/:id/" + action, ID: action + "Account", Summary: "Account: " + action, Permission: PermAccounts, Status: 200, Repeat: RepeatAnswer},
			func(c *call, _ none) (api.Account, error) { return c.manage(action) })
	}
	add(g, Route{Method: get, Path: "/calendar", ID: "listCalendar", Summary: "Years of the work calendar", Permission: PermSession, Status: 200},
		func(c *call, _ none) (api.CalendarList, error) { return c.server.box.CalendarYears(), nil })
	upload(g, Route{Method: post, Path: "/calendar", ID: "importCalendar", Summary: "Import a year (holiday-cn JSON)", Permission: PermSystem, Status: 200, Repeat: RepeatAnswer, Accepts: "application/json"},
		func(c *call, data []byte) (api.CalendarList, error) {
			if err := c.server.box.ImportCalendar(c.ctx(), c.caller, data); err != nil {
				return api.CalendarList{}, err
			}
			return c.server.box.CalendarYears(), nil
		})
	add(g, Route{Method: post, Path: "/definitions", ID: "putDefinition", Summary: "Check or adopt a kind written in YAML", Permission: PermSystem, Status: 200, Repeat: RepeatAnswer},
		func(c *call, in api.DefinitionInput) (api.DefinitionResult, error) {
			return c.server.box.PutDefinition(c.ctx(), c.caller, in)
		})
	upload(g, Route{Method: post, Path: "/divisions", ID: "importDivisions", Summary: "Import a list of divisions (CSV)", Permission: PermSystem, Status: 200, Repeat: RepeatAnswer, Accepts: "text/csv", Limit: 8 << 20},
		func(c *call, data []byte) (api.DivisionCounts, error) {
			return c.server.box.ImportDivisionList(c.ctx(), c.caller, "divisions.csv", data)
		})
	add(g, Route{Method: get, Path: "/outlines", ID: "getOutlines", Summary: "Outlines that the wall's map shows", Permission: PermSystem, Status: 200},
		func(c *call, _ none) (api.Outlines, error) { return c.server.box.Outlines() })
	upload(g, Route{Method: post, Path: "/outlines", ID: "importOutlines", Summary: "Import outlines of villages and grids (GeoJSON)", Permission: PermSystem, Status: 200, Repeat: RepeatAnswer, Accepts: "application/geo+json", Limit: service.MaxOutlines},
		func(c *call, data []byte) (api.Outlines, error) {
			return c.server.box.ImportOutlines(c.ctx(), c.caller, data)
		})
	add(g, Route{Method: del, Path: "/outlines", ID: "removeOutlines", Summary: "Bring the schematic map back", Permission: PermSystem, Status: 204, Repeat: RepeatAnswer},
		func(c *call, _ none) (none, error) { return none{}, c.server.box.RemoveOutlines(c.ctx(), c.caller) })
	upload(g, Route{Method: post, Path: "/imports", ID: "beginImport", Summary: "Upload a table (CSV or XLSX) of one of the kinds that listImports names", Permission: PermImport, Status: 201, Query: []Param{{Name: "kind", Kind: text, Max: 64}, {Name: "name", Kind: text, Max: 400}}, Repeat: RepeatAnswer, Accepts: "application/octet-stream", Limit: 32 << 20},
		func(c *call, data []byte) (api.Import, error) {
			return c.server.box.BeginImport(c.caller, c.Query("kind"), c.Query("name"), data)
		})
	add(g, Route{Method: get, Path: "/imports", ID: "listImports", Summary: "What one may import, and the jobs of it", Permission: PermImport, Status: 200},
		func(c *call, _ none) (api.ImportList, error) { return c.server.box.Imports(c.caller) })
	add(g, Route{Method: get, Path: "/imports/:id", ID: "getImport", Summary: "One import; first passwords of people are given once", Permission: PermImport, Status: 200},
		func(c *call, _ none) (api.Import, error) { return c.server.box.ImportJob(c.caller, c.Param("id")) })
	add(g, Route{Method: put, Path: "/imports/:id/mapping", ID: "mapImport", Summary: "Set the columns and try every row", Permission: PermImport, Status: 200, Repeat: RepeatHarmless},
		func(c *call, in api.MappingInput) (api.Import, error) {
			return c.server.box.MapImport(c.caller, c.Param("id"), in.Columns)
		})
	add(g, Route{Method: post, Path: "/imports/:id/commit", ID: "commitImport", Summary: "Bring all rows, or none; a long job answers while it runs", Permission: PermImport, Status: 200, Repeat: RepeatHarmless},
		func(c *call, _ none) (api.Import, error) {
			return c.server.box.CommitImport(c.ctx(), c.caller, c.Param("id"))
		})
	add(g, Route{Method: post, Path: "/imports/:id/undo", ID: "undoImport", Summary: "Take an import back; rows worked on since stay and are listed", Permission: PermImport, Status: 200, Repeat: RepeatAnswer},
		func(c *call, _ none) (api.Import, error) {
			return c.server.box.UndoImport(c.ctx(), c.caller, c.Param("id"))
		})
	add(g, Route{Method: get, Path: "/audit", ID: "listAudit", Summary: "Who read and revealed what", Permission: PermAudit, Status: 200, Query: []Param{{Name: "action", Kind: text, Max: 64}, {Name: "object", Kind: text, Max: 64}, {Name: "from", Kind: whole}, {Name: "to", Kind: whole}, {Name: "cursor", Kind: text, Max: 40}}},
		func(c *call, _ none) (api.AuditPage, error) {
			return c.server.box.AuditPage(c.caller, c.Query("action"), c.Query("object"), c.int("from"), c.int("to"), c.Query("cursor"))
		})
	add(g, Route{Method: get, Path: "/audit/writes", ID: "listWrites", Summary: "Who wrote what: operations by step and record, without content", Permission: PermAudit, Status: 200, Query: []Param{{Name: "cursor", Kind: text, Max: 40}}},
		func(c *call, _ none) (api.AuditPage, error) {
			return c.server.box.Writes(c.ctx(), c.caller, c.Query("cursor"))
		})
	add(g, Route{Method: get, Path: "/health", ID: "getHealth", Summary: "How the box is", Permission: PermHealth, Status: 200},
		func(c *call, _ none) (api.Health, error) {
			h, err := c.server.box.Health(c.lang())
			f := c.server.metrics.host.read()
			h.Version, h.DiskFree, h.DiskTotal, h.MemoryUsed, h.MemoryAll = c.server.o.Version, f.DiskFree, f.DiskTotal, f.MemoryUsed, f.MemoryAll
			h.Load = strconv.FormatFloat(f.Load, 'f', 2, 64)
			return h, err
		})
	add(g, Route{Method: get, Path: "/clock", ID: "getClock", Summary: "The time source and how the clock stands to it", Permission: PermSystem, Status: 200},
		func(c *call, _ none) (api.ClockState, error) { return c.server.box.ClockState(c.lang()), nil })
	add(g, Route{Method: put, Path: "/clock", ID: "setClock", Summary: "Choose the time source, or say that a person compared the clock", Permission: PermSystem, Status: 200, Repeat: RepeatHarmless},
		func(c *call, in api.ClockInput) (api.ClockState, error) {
			return c.server.box.SetClock(c.ctx(), c.caller, in)
		})
	add(g, Route{Method: get, Path: "/displays", ID: "listDisplays", Summary: "Displays that may show the wall", Permission: PermSystem, Status: 200},
		func(c *call, _ none) (api.DisplayList, error) { return c.server.box.Displays() })
	add(g, Route{Method: post, Path: "/displays", ID: "createDisplay", Summary: "Allow a display; gives its address once", Permission: PermSystem, Status: 201, Repeat: RepeatAnswer},
		func(c *call, in api.DisplayInput) (api.Display, error) {
			return c.server.box.CreateDisplay(c.caller, in.Name)
		})
	add(g, Route{Method: del, Path: "/displays/:id", ID: "deleteDisplay", Summary: "Take a display's right away", Permission: PermSystem, Status: 204, Repeat: RepeatAnswer},
		func(c *call, _ none) (none, error) {
			return none{}, c.server.box.DeleteDisplay(c.caller, c.Param("id"))
		})
}

func grants(in []api.GrantInput) []domain.Grant {
	out := make([]domain.Grant, len(in))
	for i, g := range in {
		out[i] = domain.Grant{Role: g.Role, Organisation: g.Organisation}
	}
	return out
}

func (c *call) manage(action string) (api.Account, error) {
	id, err := c.record()
	if err != nil {
		return api.Account{}, err
	}
	password := ""
	switch action {
	case "unlock":
		err = c.server.box.Unlock(c.caller, id)
	case "password":
		password, err = c.server.box.ResetPassword(c.ctx(), c.caller, id)
	default:
		_, err = c.server.box.SetActive(c.ctx(), c.caller, id, action == "enable")
	}
	if err != nil {
		return api.Account{}, err
	}
	a, err := c.server.box.Account(c.caller, id)
	a.Initial = password
	return a, err
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	pb "github.com/pocketbase/pocketbase"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

const (
	pbPassword = "fengqiao-2026"
	pbVillage  = "village00000001"
)

// servePocketBase is PocketBase as a library with its defaults (WAL,
// synchronous=NORMAL: a commit is not synced), in the directory given.
func servePocketBase(_ context.Context, o options) error {
	app := pb.NewWithConfig(pb.Config{DefaultDataDir: filepath.Join(o.dir, "pb"), HideStartBanner: true})
	if err := app.Bootstrap(); err != nil {
		return err
	}
	if err := app.RunAllMigrations(); err != nil {
		return err
	}
	if err := pbSchema(app); err != nil {
		return err
	}
	return apis.Serve(app, apis.ServeConfig{HttpAddr: fmt.Sprintf("127.0.0.1:%d", o.port)})
}

// pbSchema is an event with the fields, checks, rules and indexes of the
// box's own, as far as PocketBase has them: nothing is sealed, signed,
// chained, numbered, timed or counted.
func pbSchema(app core.App) error {
	villages := core.NewBaseCollection("villages")
	villages.Fields.Add(&core.TextField{Name: "name", Required: true, Max: 60})
	if err := app.Save(villages); err != nil {
		return err
	}
	village := core.NewRecord(villages)
	village.Id = pbVillage
	village.Set("name", "枫源村")
	if err := app.Save(village); err != nil {
		return err
	}
	users, err := app.FindCollectionByNameOrId("users")
	if err != nil {
		return err
	}
	officer := core.NewRecord(users)
	officer.SetEmail("duty@example.com")
	officer.SetPassword(pbPassword)
	officer.SetVerified(true)
	if err := app.Save(officer); err != nil {
		return err
	}
	return app.Save(pbEvents(users.Id, villages.Id))
}

func pbEvents(users, villages string) *core.Collection {
	events := core.NewBaseCollection("events")
	choice := func(name string, values ...string) core.Field {
		return &core.SelectField{Name: name, Values: values, MaxSelect: 1}
	}
	zero, many := 0.0, 999_999.0
	events.Fields.Add(
		&core.TextField{Name: "title", Required: true, Max: 60},
		&core.SelectField{Name: "type", Required: true, Values: []string{"01", "02", "03", "04", "05", "06", "07", "08"}, MaxSelect: 1},
		choice("line", "dispute", "hazard", "livelihood", "appeal", "service", "enforcement"),
		choice("urgency", "low", "normal", "online", "urgent", "emergency"),
		choice("source", "grid", "phone", "visit", "sensor"),
		choice("scale", "01", "02", "03", "04"),
		choice("state", "accepted", "dispatched", "in_progress", "closed"),
		&core.DateField{Name: "occurred_at"},
		&core.NumberField{Name: "people_count", OnlyInt: true, Min: &zero, Max: &many},
		&core.TextField{Name: "place", Max: 120},
		&core.TextField{Name: "content", Max: 2000},
		&core.TextField{Name: "person", Max: 40},
		&core.TextField{Name: "phone", Max: 20, Pattern: `^1\d{10}$`},
		&core.RelationField{Name: "village", CollectionId: villages, Required: true, MaxSelect: 1},
		&core.RelationField{Name: "reporter", CollectionId: users, Required: true, MaxSelect: 1},
		&core.AutodateField{Name: "created", OnCreate: true},
		&core.AutodateField{Name: "updated", OnCreate: true, OnUpdate: true},
	)
	events.CreateRule = types.Pointer(`@request.auth.id != "" && reporter = @request.auth.id`)
	events.ViewRule = types.Pointer(`@request.auth.id != ""`)
	events.ListRule = events.ViewRule
	for name, columns := range map[string]string{"created": "created", "updated": "updated", "village": "village, created",
		"state": "state, updated", "reporter": "reporter, created", "type": "type, created", "phone": "phone, created"} {
		events.AddIndex("idx_events_"+name, false, columns, "")
	}
	return events
}

// pocketBase is a running PocketBase and a signed-in user.
type pocketBase struct {
	*process
	http            *http.Client
	token, reporter string
}

func startPocketBase(ctx context.Context, o options, connections int) (*pocketBase, error) {
	dir := filepath.Join(o.dir, "pb")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	port := o.port + 1
	p, err := start(ctx, filepath.Join(o.dir, "pocketbase.log"), fmt.Sprintf("http://127.0.0.1:%d", port), "/api/health",
		self, "pocketbase", "-dir", o.dir, "-port", fmt.Sprint(port))
	if err != nil {
		return nil, err
	}
	b := &pocketBase{process: p, http: client(connections)}
	return b, b.signIn()
}

func (b *pocketBase) signIn() error {
	body, err := b.send("/api/collections/users/auth-with-password", map[string]string{"identity": "duty@example.com", "password": pbPassword})
	if err != nil {
		return err
	}
	var session struct {
		Token  string
		Record struct{ ID string }
	}
	if err := json.Unmarshal(body, &session); err != nil {
		return err
	}
	b.token, b.reporter = session.Token, session.Record.ID
	return nil
}

func (b *pocketBase) send(path string, in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	r, err := post(b.url+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", b.token)
	return call(b.http, r, http.StatusOK)
}

// create adds the same event as fengqiao.create.
func (b *pocketBase) create(c, n int) error {
	m := matter(c, n)
	m["village"], m["reporter"], m["state"], m["occurred_at"] = pbVillage, b.reporter, "accepted", "2026-05-28 20:26:40.000Z"
	_, err := b.send("/api/collections/events/records", m)
	return err
}

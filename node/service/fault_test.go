package service

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/journal"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/identity"
)

// The child writes with eight writers and says what was acknowledged; the
// parent kills it. Acknowledgements live in the parent.
const childEnv = "FENGQIAO_FAULT_CHILD"

// order is what the parent wants of a child.
type order struct {
	Dir   string
	Gate  string        // where in an open group the child stops and says so: see gateFS; "" nowhere
	After int           // so many groups
	Stall time.Duration // instead of stallLimit
	Small bool          // the disk is
}

// smallMarks are for disks of some MiB.
var smallMarks = marks{refuse: 12 << 20, resume: 14 << 20, spend: 6 << 20, ballast: 4 << 20}

// ack is one acknowledged write, by content.
type ack struct {
	Record string `json:"record,omitempty"`
	Number string `json:"number,omitempty"`
	Title  string `json:"title,omitempty"`
	People int64  `json:"people,omitempty"`
	Parent string `json:"parent,omitempty"` // merged into
	File   string `json:"file,omitempty"`   // attached, with the title as its text
	Draft  string `json:"draft,omitempty"`  // saved, with the title in it
	Audit  uint64 `json:"audit,omitempty"`  // entries that the log had
}

// acks are what was acknowledged so far.
type acks struct {
	records map[string]ack
	drafts  map[string]string
	audit   uint64
}

func newAcks() *acks { return &acks{records: map[string]ack{}, drafts: map[string]string{}} }

func (all *acks) add(a ack) {
	if a.Record != "" {
		all.records[a.Record] = a
	}
	if a.Draft != "" {
		all.drafts[a.Draft] = a.Title
	}
	all.audit = max(all.audit, a.Audit)
}

// servers are processes other than a writing child that a test binary can
// become.
var servers []func()

func TestMain(m *testing.M) {
	for _, serve := range servers {
		serve()
	}
	if text := os.Getenv(childEnv); text != "" {
		var o order
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			panic(err)
		}
		newChild(o).write()
	}
	os.Exit(m.Run())
}

// child is a box that is made to write until it is killed.
type child struct {
	*Box
	caller Caller
	mu     sync.Mutex
	out    *json.Encoder
}

func newChild(o order) *child {
	c := &child{out: json.NewEncoder(os.Stdout)}
	opts := Options{Dir: o.Dir, Journals: testJournals{}, stall: o.Stall}
	if o.Gate != "" {
		opts.Journals = testJournals{&gateFS{FS: journal.OS, point: o.Gate, groups: o.After, child: c}}
	}
	if o.Small {
		opts.marks = &smallMarks
	}
	b, err := Open(opts)
	if err != nil {
		c.fail(err)
	}
	id, _ := b.AccountByName("duty01")
	c.Box, c.caller = b, Caller{Subject: domain.Subject{User: id, Grants: []domain.Grant{{Role: domain.RoleDutyOfficer, Organisation: township}}}}
	return c
}

func (c *child) fail(err error) {
	fmt.Fprintln(os.Stderr, "child:", err)
	os.Exit(3)
}

func (c *child) say(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.out.Encode(v); err != nil {
		os.Exit(4) // the parent is gone
	}
}

func (c *child) write() {
	c.say("ready")
	for w := range 8 {
		go c.writer(w)
	}
	select {}
}

func (c *child) writer(w int) {
	var last *domain.Record
	for n := 0; ; n++ {
		title := fmt.Sprintf("第%d线第%d件%s", w, n, strings.Repeat("长", n%30))
		r, err := c.create(title, n)
		if err != nil {
			c.fail(err)
		}
		a := ack{Record: r.ID.String(), Number: r.Number, Title: title, People: int64(n)}
		c.say(a)
		switch n % 4 {
		case 1:
			err = c.merge(r, last, a)
		case 2:
			err = c.attach(r, a)
		case 3:
			err = c.aside(fmt.Sprintf("draft-%d", w), title)
		}
		if err != nil {
			c.fail(err)
		}
		last = r
	}
}

func (c *child) create(title string, n int) (*domain.Record, error) {
	return c.Create(context.Background(), c.caller, "event", "", Input{Fields: map[string]any{"title": title, "type": "01", "village": village, "people_count": int64(n)}})
}

// merge writes two operations on two records, that stand in one group.
func (c *child) merge(r, parent *domain.Record, a ack) error {
	for _, half := range []*domain.Record{parent, r} {
		if half.State == "accepted" {
			continue
		}
		if _, err := c.Step(context.Background(), c.caller, half.ID, "accept", version(half), Input{}); err != nil {
			return err
		}
	}
	now, err := c.record(r.ID)
	if err != nil {
		return err
	}
	table, _ := c.embedded.Table("merge_reason")
	_, err = c.Step(context.Background(), c.caller, r.ID, "merge_into", version(now),
		Input{Inputs: map[string]any{"record": parent.ID.String(), "reason": table.Rows()[0].Code.Code}})
	if err != nil {
		return err
	}
	a.Parent = parent.ID.String()
	c.say(a)
	return nil
}

func (c *child) attach(r *domain.Record, a ack) error {
	after, err := c.Attach(context.Background(), c.caller, r.ID, Upload{Name: "a.txt", Media: "text/plain", Body: strings.NewReader(a.Title)})
	if err != nil {
		return err
	}
	a.File = after.Files[0].Hash.String()
	c.say(a)
	return nil
}

// aside writes what does not stand in the journal: a draft, and an entry of
// the audit.
func (c *child) aside(draft, title string) error {
	if err := c.SaveDraft(c.caller, draft, "event", title); err != nil {
		return err
	}
	c.say(ack{Draft: draft, Title: title})
	if err := c.noteFor(c.caller.User, audit.Entry{Action: "reveal", Result: "ok"}); err != nil {
		return err
	}
	c.say(ack{Audit: c.audit.Head().Seq})
	return nil
}

// gateFS stops a child inside an open group: between its first byte and the
// end of its sync.
type gateFS struct {
	journal.FS
	point  string // before, half, unsynced
	groups int
	child  *child
}

type gateFile struct {
	journal.File
	gate *gateFS
	stop bool
}

func (g *gateFS) Create(path string) (journal.File, error) {
	f, err := g.FS.Create(path)
	return &gateFile{File: f, gate: g}, err
}

func (f *gateFile) WriteAt(p []byte, off int64) (int, error) {
	if !bytes.HasPrefix(p, []byte("FQGR")) {
		return f.File.WriteAt(p, off)
	}
	if f.gate.groups--; f.gate.groups != 0 {
		return f.File.WriteAt(p, off)
	}
	switch f.gate.point {
	case "before":
		f.inside()
	case "half":
		if _, err := f.File.WriteAt(p[:len(p)/2], off); err != nil {
			return 0, err
		}
		f.inside()
	}
	f.stop = true
	return f.File.WriteAt(p, off)
}

func (f *gateFile) Sync() error {
	if f.stop {
		f.inside()
	}
	return f.File.Sync()
}

// inside says so and waits to be killed.
func (f *gateFile) inside() {
	f.gate.child.say("inside")
	select {}
}

// running is a child as the parent sees it.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	all    *acks
	heeded chan struct{} // closed when listen has heard the end
	stderr bytes.Buffer
}

func startChild(t *testing.T, o order, all *acks) *running {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, cmd: exec.Command(os.Args[0]), all: all}
	r.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	r.cmd.Stderr = &r.stderr
	pipe, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.lines = bufio.NewScanner(pipe)
	return r
}

// heard takes acknowledgements until the child says the word, or ends;
// word "" until it ends. A last line that was cut was not acknowledged.
func (r *running) heard(word string) bool {
	for r.lines.Scan() {
		var said string
		if json.Unmarshal(r.lines.Bytes(), &said) == nil {
			if said == word {
				return true
			}
			continue
		}
		var a ack
		if json.Unmarshal(r.lines.Bytes(), &a) == nil {
			r.all.add(a)
		}
	}
	return false
}

// listen takes acknowledgements in the background until the child ends.
func (r *running) listen() {
	r.heeded = make(chan struct{})
	go func() {
		defer close(r.heeded)
		r.heard("")
	}()
}

// kill ends the child with signal 9 and takes what it had said.
func (r *running) kill() {
	r.t.Helper()
	if err := r.cmd.Process.Kill(); err != nil {
		r.t.Fatal(err, r.stderr.String())
	}
	if r.heeded == nil {
		r.listen()
	}
	<-r.heeded
	if err := r.cmd.Wait(); err == nil {
		r.t.Fatal("the child ended by itself")
	}
}

// full reports whether the long profile runs.
func fullFaults() bool { return os.Getenv("FENGQIAO_FAULTS") == "full" }

// gates are the places inside an open group.
var gates = []string{"before", "half", "unsynced"}

// memoryDir is a folder in memory where there is room: a killed process
// leaves to the next what it wrote, synced or not, so the disk proves
// nothing more and takes its time.
func memoryDir(t *testing.T) string {
	const shm, need = "/dev/shm", 1 << 30
	if free, err := (&room{dir: shm}).free(); err != nil || free < need {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(shm, "fengqiao-fault-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestFaultKill: no acknowledged operation is lost, none is half applied,
// and counters equal a recount, whenever the process is killed. Every
// second time it is killed inside an open group.
func TestFaultKill(t *testing.T) {
	rounds := 20
	if fullFaults() {
		rounds = 200
	}
	b := newTestBoxIn(t, memoryDir(t))
	b.close()
	all := newAcks()
	inside := 0
	for round := range rounds {
		if round%2 == 1 {
			c := startChild(t, order{Dir: b.dir, Small: true, Gate: gates[round/2%len(gates)], After: 1 + rand.IntN(60)}, all)
			if !c.heard("inside") {
				t.Fatalf("the child ended by itself: %s", c.stderr.String())
			}
			inside++
			c.kill()
		} else {
			c := startChild(t, order{Dir: b.dir, Small: true}, all)
			if !c.heard("ready") {
				t.Fatalf("the child did not start: %s", c.stderr.String())
			}
			time.AfterFunc(time.Duration(rand.IntN(200))*time.Millisecond, func() { c.cmd.Process.Kill() })
			c.heard("")
			if c.cmd.Wait() == nil {
				t.Fatal("the child ended by itself")
			}
		}
		if round%5 == 4 || round == rounds-1 {
			b.verify(all)
		}
	}
	t.Logf("%d kills, %d of them inside an open group; %d acknowledged records", rounds, inside, len(all.records))
	if inside < rounds/2 {
		t.Fatalf("only %d of %d kills fell inside an open group", inside, rounds)
	}
}

// verify compares by content what was acknowledged with what is there.
func (b *testBox) verify(all *acks) {
	b.t.Helper()
	b.open()
	defer b.close()
	duty, _ := b.AccountByName("duty01")
	c := Caller{Subject: domain.Subject{User: duty, Grants: []domain.Grant{{Role: domain.RoleDutyOfficer, Organisation: township}}}, Lang: "zh"}
	numbers := map[string]string{}
	for id, a := range all.records {
		b.verifyRecord(c, a)
		if other, twice := numbers[a.Number]; twice {
			b.t.Fatalf("number %s was given to %s and %s", a.Number, other, id)
		}
		numbers[a.Number] = id
	}
	b.check()
	b.verifyHalves()
	b.verifyAside(c, all)
	b.verifyJournal()
}

func (b *testBox) verifyRecord(c Caller, a ack) {
	b.t.Helper()
	id, err := envelope.ParseRecordID(a.Record)
	if err != nil {
		b.t.Fatal(err)
	}
	view, err := b.View(c, id)
	if err != nil || view.Title != a.Title || view.Number != a.Number || view.Fields["people_count"].V != a.People {
		b.t.Fatalf("acknowledged %+v, found %q %q %v (%v)", a, view.Title, view.Number, view.Fields["people_count"].V, err)
	}
	r, err := b.record(id)
	if err != nil || a.Parent != "" && r.Parent.String() != a.Parent {
		b.t.Fatalf("acknowledged %+v, merged into %s (%v)", a, r.Parent, err)
	}
	if a.File == "" {
		return
	}
	at := slices.IndexFunc(r.Files, func(f domain.File) bool { return f.Hash.String() == a.File })
	if at < 0 {
		b.t.Fatalf("acknowledged %+v, the attachment is not there", a)
	}
	_, _, body, err := b.OpenFile(c, id, r.Files[at].Hash)
	if err != nil {
		b.t.Fatalf("acknowledged %+v: %v", a, err)
	}
	defer body.Close()
	if text, err := io.ReadAll(body); err != nil || string(text) != a.Title {
		b.t.Fatalf("acknowledged %+v, attached is %q (%v)", a, text, err)
	}
}

// verifyHalves: of a merge both halves stand, or none, acknowledged or not.
func (b *testBox) verifyHalves() {
	b.t.Helper()
	_, _, err := b.store.EachRecord(envelope.RecordID{}, 1<<30, func(r *domain.Record) error {
		if r.Merged() {
			parent, err := b.record(r.Parent)
			if err != nil || !slices.Contains(parent.Children, r.ID) {
				return fmt.Errorf("%s is merged, %s does not know it (%v)", r.ID, r.Parent, err)
			}
		}
		for _, id := range r.Children {
			if child, err := b.record(id); err != nil || child.Parent != r.ID {
				return fmt.Errorf("%s has a child %s that does not know it (%v)", r.ID, id, err)
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *testBox) verifyAside(c Caller, all *acks) {
	b.t.Helper()
	list, err := b.Drafts(c)
	if err != nil {
		b.t.Fatal(err)
	}
	have := map[string]string{}
	for _, d := range list.Items {
		have[d.ID], _ = d.Data.(string)
	}
	for id, want := range all.drafts { // a later one may stand that was not acknowledged
		if have[id] != want && !sameWriter(have[id], want) {
			b.t.Fatalf("draft %s is %q, acknowledged %q", id, have[id], want)
		}
	}
	if have := b.audit.Head().Seq; have < all.audit {
		b.t.Fatalf("the audit has %d entries, acknowledged %d", have, all.audit)
	}
}

// sameWriter compares two titles by their writer.
func sameWriter(a, b string) bool {
	var v, w int
	_, err1 := fmt.Sscanf(a, "第%d线", &v)
	_, err2 := fmt.Sscanf(b, "第%d线", &w)
	return err1 == nil && err2 == nil && v == w
}

// verifyJournal follows chain and signatures as check does.
func (b *testBox) verifyJournal() {
	b.t.Helper()
	id, err := identity.Load(filepath.Join(b.dir, "identity"))
	if err != nil {
		b.t.Fatal(err)
	}
	var r CheckReport
	if err := r.checkJournal(context.Background(), testJournals{}, b.dir, id, 0, func(string, int64, int64) {}); err != nil || len(r.Problems) > 0 {
		b.t.Fatal(err, r.Problems)
	}
}

// TestFaultFlippedByte: one flipped byte anywhere in journal, history,
// store, audit, identity or an attachment is found by opening or by check,
// or changes nothing: then the box is equal by content.
func TestFaultFlippedByte(t *testing.T) {
	b := newTestBox(t)
	r := b.report("duty", "翻转")
	b.step("duty", r, "accept", Input{})
	if _, err := b.Attach(context.Background(), b.people["duty"], r.ID, Upload{Name: "a.txt", Media: "text/plain", Body: strings.NewReader("附件")}); err != nil {
		t.Fatal(err)
	}
	b.check()
	position, err := b.store.Position()
	if err != nil {
		t.Fatal(err)
	}
	b.close()
	b.open() // so that a finished segment can move to history
	b.report("duty", "在新的一段里")
	if _, err := b.journal.Archive(position.Seq); err != nil { // unless housekeeping was first
		t.Fatal(err)
	}
	b.check()
	want := b.contents()
	b.close()
	flips, inStore := 5, 30 // half of the store is free pages, where a flip changes nothing
	if fullFaults() {
		flips, inStore = 60, 60
	}
	files := map[string]int{}
	err = filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(b.dir, path)
		if kind, _, _ := strings.Cut(name, "/"); err == nil && !d.IsDir() && (kind == "store.db" || slices.Contains(keptParts, kind)) {
			found, tries := 0, flips
			if kind == "store.db" {
				tries = inStore
			}
			for range tries {
				if b.flip(path, want) {
					found++
				}
			}
			files[kind] += found
			t.Logf("%s: %d of %d found", name, found, tries)
		}
		return err
	})
	if err != nil || len(files) != len(keptParts)+1 {
		t.Fatal(files, err)
	}
	for kind, found := range files {
		if found == 0 {
			t.Errorf("%s: nothing was found", kind)
		}
	}
	report, err := Check(context.Background(), b.dir, CheckOptions{Journals: testJournals{}})
	if err != nil || len(report.Problems) > 0 {
		t.Fatalf("the box itself: %v %v", report.Problems, err)
	}
}

// flip turns one bit of a file over, in a copy of the box, and reports
// whether it was found. Room that is zeroed ahead is left out.
func (b *testBox) flip(path, want string) bool {
	b.t.Helper()
	good, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	used := len(bytes.TrimRight(good, "\x00"))
	dir := b.copied()
	defer os.RemoveAll(dir)
	name, _ := filepath.Rel(b.dir, path)
	bad := bytes.Clone(good)
	at := rand.IntN(used)
	bad[at] ^= 1 << rand.IntN(8)
	if err := os.WriteFile(filepath.Join(dir, name), bad, 0o600); err != nil {
		b.t.Fatal(err)
	}
	report, err := Check(context.Background(), dir, CheckOptions{Journals: testJournals{}})
	if err != nil || len(report.Problems) > 0 {
		return true
	}
	copied := &testBox{t: b.t, dir: dir, clock: b.clock}
	copied.open()
	defer copied.close()
	if copied.contents() != want {
		b.t.Fatalf("%s: the flip at %d of %d changed the box unseen", name, at, used)
	}
	return false
}

// keptParts are the files that flips are tried on.
var keptParts = []string{"journal", "history", "audit", "blobs", "identity"}

// copied gives a copy of the box without what is not looked at.
func (b *testBox) copied() string {
	b.t.Helper()
	dir := b.t.TempDir()
	for _, part := range keptParts {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(b.dir, part))); err != nil {
			b.t.Fatal(err)
		}
	}
	db, err := os.ReadFile(filepath.Join(b.dir, "store.db"))
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "store.db"), db, 0o600)); err != nil {
		b.t.Fatal(err)
	}
	return dir
}

// contents says what the box holds: the digest of all records, where it
// stands, the operations of the journal, the audit's head.
func (b *testBox) contents() string {
	b.t.Helper()
	ops := sha256.New()
	err := journal.Range(nil, filepath.Join(b.dir, "journal"), filepath.Join(b.dir, "history"), b.id.Origin(), func(g envelope.Replayed) error {
		for _, raw := range slices.Concat(g.Ops, g.KeyFrames) {
			ops.Write(raw)
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	digest, err := b.store.Digest()
	position, perr := b.store.Position()
	if err := errors.Join(err, perr); err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprintf("%x %x %d %x %v", ops.Sum(nil), digest, position.Seq, position.Head, b.audit.Head())
}

// TestFaultClock: a dead clock gives no number and no card; a clock set
// back disturbs no order.
func TestFaultClock(t *testing.T) {
	b := newTestBox(t)
	b.clock.quality.Store(uint32(envelope.TimeUnknown))
	dead := b.report("duty", "时钟未设")
	if dead.Number != "" {
		t.Fatalf("number %s was given without a year", dead.Number)
	}
	if err := b.supervise(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.clock.quality.Store(uint32(envelope.TimeSynced))
	b.clock.advance(-24 * time.Hour)
	r := b.report("duty", "时钟拨回一天")
	b.step("duty", r, "accept", Input{})
	b.check()
	b.clock.advance(40 * 24 * time.Hour)
	if err := b.supervise(context.Background()); err != nil {
		t.Fatal(err)
	}
	after, err := b.record(r.ID)
	if err != nil || after.HighestCard() != "red" {
		t.Fatalf("card %q after 40 days (%v)", after.HighestCard(), err)
	}
	before := len(after.Appended)
	if err := b.supervise(context.Background()); err != nil {
		t.Fatal(err)
	}
	if after, _ = b.record(r.ID); len(after.Appended) != before {
		t.Fatal("the same card was issued twice")
	}
	b.check()
}

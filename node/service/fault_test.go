package service

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// The child writes with eight writers and says what was acknowledged; the
// parent kills it at a random moment. Acknowledgements live in the parent.
const childEnv = "FENGQIAO_FAULT_CHILD"

// ack is one acknowledged write, by content.
type ack struct {
	Record string `json:"record"`
	Number string `json:"number"`
	Title  string `json:"title"`
	People int64  `json:"people"`
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		childWrites(dir)
		return
	}
	os.Exit(m.Run())
}

// childWrites never returns: it is killed.
func childWrites(dir string) {
	b, err := Open(Options{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	id, _ := b.AccountByName("duty01")
	c := Caller{Subject: domain.Subject{User: id, Grants: []domain.Grant{{Role: domain.RoleDutyOfficer, Organisation: township}}}}
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	fmt.Println("ready")
	for w := range 8 {
		go func() {
			for n := 0; ; n++ {
				title := fmt.Sprintf("第%d线第%d件", w, n)
				r, err := b.Create(context.Background(), c, "event", "", Input{Fields: map[string]any{"title": title, "type": "01", "village": village, "people_count": int64(n)}})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				mu.Lock()
				err = out.Encode(ack{Record: r.ID.String(), Number: r.Number, Title: title, People: int64(n)})
				mu.Unlock()
				if err != nil {
					os.Exit(1)
				}
			}
		}()
	}
	select {}
}

// TestFaultKill: no acknowledged operation is lost, none is half applied,
// and counters equal a recount, whenever the process is killed.
func TestFaultKill(t *testing.T) {
	rounds := 20
	if os.Getenv("FENGQIAO_FAULTS") == "full" {
		rounds = 200
	}
	if testing.Short() {
		rounds = 5
	}
	b := newTestBox(t)
	b.close()
	acks := map[string]ack{}
	for round := range rounds {
		killOnce(t, b.dir, time.Duration(30+rand.IntN(220))*time.Millisecond, acks)
		if round%5 == 4 || round == rounds-1 {
			b.verify(acks)
		}
	}
	t.Logf("%d rounds, %d acknowledged operations", rounds, len(acks))
}

func killOnce(t *testing.T, dir string, after time.Duration, acks map[string]ack) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the child did not start: %q", lines.Text())
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer timer.Stop()
	for lines.Scan() {
		var a ack
		if json.Unmarshal(lines.Bytes(), &a) == nil { // a last line that was cut was not acknowledged
			acks[a.Record] = a
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
}

// verify compares by content what was acknowledged with what is there.
func (b *testBox) verify(acks map[string]ack) {
	b.t.Helper()
	b.open()
	defer b.close()
	numbers := map[string]string{}
	duty, _ := b.AccountByName("duty01")
	c := Caller{Subject: domain.Subject{User: duty, Grants: []domain.Grant{{Role: domain.RoleDutyOfficer, Organisation: township}}}, Lang: "zh"}
	for id, a := range acks {
		rid, err := envelope.ParseRecordID(id)
		if err != nil {
			b.t.Fatal(err)
		}
		view, err := b.View(c, rid)
		if err != nil || view.Title != a.Title || view.Number != a.Number || view.Fields["people_count"].V != a.People {
			b.t.Fatalf("acknowledged %+v, found %q %q %v (%v)", a, view.Title, view.Number, view.Fields["people_count"].V, err)
		}
		if other, twice := numbers[a.Number]; twice {
			b.t.Fatalf("number %s was given to %s and %s", a.Number, other, id)
		}
		numbers[a.Number] = id
	}
	b.check()
}

// TestFaultFlippedByte: one flipped byte anywhere in the newest segment is
// found when the box opens or by check; nothing acknowledged disappears
// silently.
func TestFaultFlippedByte(t *testing.T) {
	b := newTestBox(t)
	b.report("duty", "翻转")
	b.check()
	b.close()
	segments, err := filepath.Glob(filepath.Join(b.dir, "journal", "*", "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	files := append(segments, filepath.Join(b.dir, "audit", "00000000000000000001.log"))
	for _, file := range files {
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		used := len(good)
		for used > 0 && good[used-1] == 0 {
			used--
		}
		for range 25 {
			at := rand.IntN(used)
			bad := append([]byte{}, good...)
			bad[at] ^= 1 << rand.IntN(8)
			if err := os.WriteFile(file, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			report, err := Check(context.Background(), b.dir, CheckOptions{})
			if err == nil && len(report.Problems) == 0 {
				t.Fatalf("%s: the flip at %d of %d was not found", filepath.Base(file), at, used)
			}
			if err := os.WriteFile(file, good, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	report, err := Check(context.Background(), b.dir, CheckOptions{})
	if err != nil || len(report.Problems) > 0 {
		t.Fatalf("the box itself: %v %v", report.Problems, err)
	}
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

package sheet

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func divisions(t *testing.T, data []byte) *Divisions {
	t.Helper()
	d, wrong, err := ReadDivisions(mustRead(t, data, Options{Name: "区划.csv"}))
	if err != nil || len(wrong) > 0 {
		t.Fatalf("%v, %v", err, wrong)
	}
	return d
}

func excerpt(t *testing.T) *Divisions {
	t.Helper()
	data, err := os.ReadFile("testdata/divisions.csv")
	if err != nil {
		t.Fatal(err)
	}
	return divisions(t, data)
}

func TestDivisions(t *testing.T) {
	d := excerpt(t)
	n := d.Count()
	if n[County] != 1 || n[Township] != 2 || n[Village] != 41 || len(d.List) != 44 {
		t.Fatalf("got %v", n)
	}
	v, ok := d.Get("330681109290")
	if !ok || v.Name != "枫源村" || v.Lng != 120425570 || v.Lat != 29755770 || v.Parent != "330681109" || !v.HasPoint {
		t.Fatalf("got %+v", v)
	}
	var b bytes.Buffer
	if err := WriteCSV(&b, DivisionHeader(), d.Rows()); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := WriteCSV(&again, DivisionHeader(), divisions(t, b.Bytes()).Rows()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Fatal("written, read and written again gives other bytes")
	}
}

// The whole county, where the list is at hand.
func TestDivisionsOfACounty(t *testing.T) {
	data, err := os.ReadFile("../../../shared/data/zhuji_divisions.csv")
	if err != nil {
		t.Log("the list of the whole county is not here; the excerpt is tested above")
		return
	}
	d := divisions(t, data)
	if n := d.Count(); n[County] != 1 || n[Township] != 23 || n[Village] != 518 {
		t.Fatalf("got %v", n)
	}
	if err := d.AddShippedAliases(); err != nil {
		t.Fatal(err)
	}
	aliases := 0
	for _, v := range d.List {
		aliases += len(v.Aliases)
	}
	if aliases != 10 {
		t.Fatalf("%d aliases", aliases)
	}
	for old, code := range map[string]string{"大唐镇": "330681005", "里浦镇": "330681122", "330681123": "330681124", "诸暨市草塔镇": "330681005", "江藻镇直埠村": "330681106201"} {
		if got := d.Find(old); len(got) != 1 || got[0] != code {
			t.Errorf("%s is %v, want %s", old, got, code)
		}
	}
}

func TestFindDivisions(t *testing.T) {
	list := excerpt(t).List
	for i := range list {
		switch list[i].Code {
		case "330681109":
			list[i].Aliases = []string{"枫桥区"}
		case "330681109290":
			list[i].Aliases = []string{"老枫源"}
		}
	}
	d := Index(list)
	for name, want := range map[string][]string{
		"枫源村": {"330681109290"}, "330681109290": {"330681109290"}, "枫桥镇枫源村": {"330681109290"}, "诸暨市枫桥镇枫源村": {"330681109290"},
		"诸暨市枫源村": {"330681109290"}, "诸暨市 / 枫桥镇/枫源村": {"330681109290"}, "枫桥区": {"330681109"}, "枫桥区枫源村": {"330681109290"}, "老枫源": {"330681109290"},
		"山下湖镇枫源村": nil, "没有": nil, strings.Repeat("枫桥镇", 5000): nil,
	} {
		equal(t, d.Find(name), want)
	}
}

func TestSameNameTwice(t *testing.T) {
	d := divisions(t, []byte("code,name,level,parent\n330681,诸暨市,county,330600\n330681109,甲镇,township,330681\n330681108,乙镇,township,330681\n"+
		"330681109001,新村,village,330681109\n330681108001,新村,village,330681108\n"))
	equal(t, d.Find("新村"), []string{"330681108001", "330681109001"})
	equal(t, d.Find("甲镇新村"), []string{"330681109001"})
}

func TestWrongDivisions(t *testing.T) {
	const head = "code,name,level,parent,lng,lat\n330681,诸暨市,county,330600,120.2,29.7\n330681109,枫桥镇,township,330681,,\n"
	for line, want := range map[string]string{
		"330681109,又一个,township,330681,,":      "A4 code_twice",
		"33068110,短码,township,330681,,":        "A4 bad_code",
		"33068110X,字母,township,330681,,":       "A4 bad_code",
		"330681109001,无上级,village,330681777,,": "D4 no_parent",
		"330682109001,不同头,village,330681109,,": "A4 wrong_prefix",
		"330681109001,跳级,village,330681,,":     "D4 wrong_parent",
		"330681108,某镇,小镇,330681,,":             "C4 bad_level",
		"330681108,某镇,township,330681,29,120":  "F4 bad_point",
		"330681108,某镇,township,330681,120,":    "F4 bad_point",
		"330681108,某镇,township,330681,1e2,29":  "E4 bad_point",
		"330681108,,township,330681,,":         "B4 required",
	} {
		_, wrong, err := ReadDivisions(mustRead(t, []byte(head+line+"\n"), Options{}))
		if err != nil {
			t.Fatal(err)
		}
		if len(wrong) != 1 || wrong[0].Cell()+" "+wrong[0].Code != want {
			t.Errorf("%s: got %v, want %s", line, wrong, want)
		}
	}
	if _, _, err := ReadDivisions(mustRead(t, []byte("姓名,电话\n张三,1\n"), Options{})); err == nil {
		t.Error("a list of people was taken for divisions")
	}
}

func TestAliasesOfAList(t *testing.T) {
	d := divisions(t, []byte("code,name,level,parent,简称,曾用名\n330681,诸暨市,county,330600,,\n330681109,枫桥镇,township,330681,枫,枫桥区、栎江乡\n"))
	v, _ := d.Get("330681109")
	equal(t, v.Aliases, []string{"枫桥区", "栎江乡"})
	equal(t, v.Abbr, "枫")
	equal(t, d.Find("诸暨市栎江乡"), []string{"330681109"})
}

func TestDegreesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(-180e6, 180e6).Draw(t, "n")
		if got, ok := microDegrees(FormatDegrees(n), 180); !ok || got != n {
			t.Fatalf("%d was written as %s and read as %d", n, FormatDegrees(n), got)
		}
	})
	for s, want := range map[string]int64{"120.4397": 120439700, "29.97853712": 29978537, "0.0000005": 1, "-0.0000005": -1, "0.00000049": 0, "-1.5": -1500000, "180": 180000000} {
		if got, ok := microDegrees(s, 180); !ok || got != want {
			t.Errorf("%s: got %d, want %d", s, got, want)
		}
	}
}

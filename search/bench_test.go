package search

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The documents of the benchmarks: what a township writes, from parts.
var (
	benchPlaces   = strings.Fields("村口 桥头 河边 学校门口 文化礼堂 菜市场 工业园区 水库 山脚 停车场 卫生院 老街 公交站 老年食堂 拆迁安置区")
	benchMatters  = strings.Fields("路灯不亮 邻居建房挡住采光 占道经营 河道垃圾 拖欠工资 宅基地边界 噪音扰民 土地流转租金 违章搭建 油烟污染 自来水停水 高空坠物 交通事故赔偿 赡养老人 借款不还 化粪池外溢 树木砍伐 养殖污染 电动车充电 消防通道堵塞")
	benchActions  = strings.Fields("请求处理 要求赔偿 多次反映未果 已现场查看 双方各执一词 需要联合执法 希望调解 情况属实 正在核实 已通知当事人")
	benchSurnames = strings.Fields("王 李 张 陈 楼 何 赵 周 骆 宣")
	benchNames    = strings.Fields("建国 小明 志强 秀英 国平 海燕 丽娟 永康 雪琴 伟民 金花 正华")
)

// benchDocuments makes n documents under the scopes of one township: 30
// villages, a tenth restricted.
func benchDocuments(n int) []Document {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	docs := make([]Document, n)
	for i := range docs {
		village := fmt.Sprintf("v%02d", r.IntN(30))
		name := pick(benchSurnames) + pick(benchNames)
		var text strings.Builder
		for range 1 + r.IntN(5) {
			fmt.Fprintf(&text, "%s%s，%s%s，涉及%d户%d元。", pick(benchPlaces), pick(benchMatters), pick(benchMatters), pick(benchActions), r.IntN(40), r.IntN(90000))
		}
		number := fmt.Sprintf("枫事〔%d〕%05d号", 2020+r.IntN(7), i)
		limit := "x0"
		if i%10 == 0 {
			limit = "x1"
		}
		docs[i] = Document{ID: fmt.Sprintf("%022d", i), Texts: texts(number+" 矛盾劝解", text.String(), name), Numbers: []string{FoldNumber(number)},
			Hashes: []string{fmt.Sprintf("%064d", i/3)}, Kind: []string{"event", "event", "event", "mediation", "petition"}[r.IntN(5)], Type: fmt.Sprintf("%02d", r.IntN(8)),
			Village: village, State: []string{"closed", "closed", "archived", "in_progress"}[r.IntN(4)], Year: number[len("枫事〔") : len("枫事〔")+4], At: int64(i) * 60_000,
			Scope: []string{"fevent", limit, "ctown", "h" + village, "p" + village, "r" + village, "uu" + fmt.Sprint(r.IntN(50))}}
	}
	return docs
}

// officer sees a township, restricted matters only on its own desk: the
// form of filter that most people have.
func officer() Scope {
	var out Scope
	for _, family := range []string{"fduty", "fevent", "fmediation", "fnotice", "fpetition"} {
		out = append(out, [][]string{{family}, {"ctown", "otown"}, {"x0"}}, [][]string{{family}, {"ctown", "otown"}, {"x1"}, {"htown", "ame"}})
	}
	return out
}

// benchQueries are what people type, by the form of the words.
var benchQueries = []struct{ name, text string }{
	{"1char", "灯"}, {"2chars", "采光"}, {"4chars", "路灯不亮"}, {"3words", "河边 采光 赔偿"}, {"name", "楼雪琴"}, {"number", "00077"}, {"browse", ""}, {"none", "航天飞机"},
}

// BenchmarkSearch measures queries with five facets, and how long an index
// of that size takes to build and how much it holds on disk.
func BenchmarkSearch(b *testing.B) {
	for _, size := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			docs := benchDocuments(size)
			start := time.Now()
			x, _, dir := filled(b, docs)
			built := time.Since(start)
			defer closing(b, x)
			raw := 0
			for i := range docs {
				raw += docs[i].size() - 256
			}
			docs = nil
			perDoc := float64(diskUse(b, dir)) / float64(size)
			for _, q := range benchQueries {
				b.Run(q.name, func(b *testing.B) {
					var taken []time.Duration
					cpu := cpuTime(b)
					var hits Hits
					query := Query{Words: words(q.text), Scopes: [classes]Scope{officer(), officer(), officer()}, Limit: 200}
					for b.Loop() {
						start := time.Now()
						hits = find(b, x, query)
						taken = append(taken, time.Since(start))
					}
					b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/1000/float64(len(taken)), "cpu-ms")
					slices.Sort(taken)
					b.ReportMetric(float64(taken[len(taken)/2].Microseconds())/1000, "p50-ms")
					b.ReportMetric(float64(taken[len(taken)*99/100].Microseconds())/1000, "p99-ms")
					b.ReportMetric(float64(hits.Total), "hits")
				})
			}
			b.Run("build", func(b *testing.B) {
				for b.Loop() { //nolint:revive // measured above, once
				}
				b.ReportMetric(float64(size)/built.Seconds(), "docs/s")
				b.ReportMetric(perDoc, "B/doc")
				b.ReportMetric(float64(raw)/float64(size), "text-B/doc")
			})
		})
	}
}

// cpuTime of the process: on a shared machine it says more than the clock.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func diskUse(t testing.TB, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// BenchmarkSearchQuality ranks labelled lay questions over articles of law
// by resemblance, as far as that data is there. The figures are reported,
// not asserted.
func BenchmarkSearchQuality(b *testing.B) {
	const dir = "../../shared/data/search_dev"
	docs, err := readArticles(filepath.Join(dir, "docs.jsonl.gz"))
	if err != nil {
		b.Skip(err)
	}
	x, _, _ := filled(b, docs)
	defer closing(b, x)
	questions, relevant := readQuestions(b, dir)
	var gain, recall float64
	for b.Loop() {
		gain, recall = 0, 0
		for id, text := range questions {
			ids, err := x.Like(context.Background(), Like{Text: text, Scope: all, Limit: 100})
			if err != nil {
				b.Fatal(err)
			}
			g, r := judge(ids, relevant[id])
			gain, recall = gain+g, recall+r
		}
	}
	n := float64(len(questions))
	b.ReportMetric(gain/n, "nDCG@10")
	b.ReportMetric(recall/n, "recall@100")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N)/n, "ms/question")
}

// judge gives nDCG@10 with one gain for all, and recall among all listed.
func judge(ids []string, relevant map[string]bool) (gain, recall float64) {
	var ideal float64
	for i := range min(len(relevant), 10) {
		ideal += 1 / math.Log2(float64(i)+2)
	}
	for i, id := range ids {
		if relevant[id] {
			recall += 1 / float64(len(relevant))
			if i < 10 {
				gain += 1 / math.Log2(float64(i)+2) / ideal
			}
		}
	}
	return gain, recall
}

func readArticles(path string) ([]Document, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var docs []Document
	for d := json.NewDecoder(z); d.More(); {
		var a struct{ ID, Title, Text string }
		if err := d.Decode(&a); err != nil {
			return nil, err
		}
		docs = append(docs, Document{ID: a.ID, Texts: texts("", a.Title+"\n"+a.Text, ""), Scope: []string{everybody}})
	}
	return docs, nil
}

func readQuestions(b *testing.B, dir string) (questions map[string]string, relevant map[string]map[string]bool) {
	b.Helper()
	questions, relevant = map[string]string{}, map[string]map[string]bool{}
	lines(b, filepath.Join(dir, "qrels.tsv"), func(line string) {
		var q, d string
		var zero, grade int
		if _, err := fmt.Sscan(line, &q, &zero, &d, &grade); err != nil {
			b.Fatal(err)
		}
		if relevant[q] == nil {
			relevant[q] = map[string]bool{}
		}
		relevant[q][d] = grade > 0
	})
	lines(b, filepath.Join(dir, "queries.jsonl"), func(line string) {
		var q struct{ ID, Text string }
		if err := json.Unmarshal([]byte(line), &q); err != nil {
			b.Fatal(err)
		}
		if len(relevant[q.ID]) > 0 {
			questions[q.ID] = q.Text
		}
	})
	return questions, relevant
}

func lines(b *testing.B, path string, use func(string)) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		use(s.Text())
	}
	if err := s.Err(); err != nil {
		b.Fatal(err)
	}
}

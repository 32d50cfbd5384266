package demo

import (
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
)

// story is a matter to tell.
type story struct{ kind, line, title, content, urgency, station string }

var stories = []story{
	{"01", "livelihood", "村口路灯不亮", "主干道两盏路灯已三天不亮，夜间出行不便。", "normal", enforcement},
	{"01", "livelihood", "自来水水压不足", "早晚高峰三楼以上基本没有水。", "online", enforcement},
	{"01", "livelihood", "河道有垃圾漂浮", "桥下漂浮物较多，有异味。", "normal", enforcement},
	{"01", "livelihood", "下水道堵塞", "雨后污水外溢到路面。", "urgent", enforcement},
	{"01", "service", "老人代办社保卡", "独居老人行动不便，请求上门代办。", "low", farming},
	{"02", "dispute", "邻居建房挡住采光", "东侧邻居加建围墙，影响一楼采光，双方多次争吵。", "normal", justice},
	{"02", "dispute", "宅基地界址争议", "两户对后院界址说法不一，要求镇里派人丈量。", "normal", farming},
	{"02", "dispute", "拖欠工程款", "装修队反映业主拖欠尾款。", "normal", justice},
	{"02", "dispute", "承包地流转租金争议", "流转户与农户对租金调整意见不一。", "normal", farming},
	{"03", "enforcement", "夜间有人翻围墙", "老厂区夜间多次有陌生人翻墙进入。", "urgent", police},
	{"03", "enforcement", "占道经营影响通行", "集市日摊位占用半幅路面。", "normal", enforcement},
	{"03", "hazard", "电动车楼道充电", "楼道内私拉电线充电，堵塞通道。", "normal", emergency},
	{"04", "service", "残疾人家庭帮扶需求", "家中门槛较高，轮椅出入不便，申请无障碍改造。", "normal", farming},
	{"05", "appeal", "建议增设公交站点", "多位老人反映到镇卫生院不便，建议增设一站。", "low", enforcement},
	{"05", "appeal", "希望延长文化礼堂开放时间", "村民希望周末晚间开放。", "low", farming},
	{"06", "service", "反诈宣传进村", "组织村民学习防范电信诈骗。", "low", police},
	{"07", "hazard", "山脚处有烟雾", "后山山脚冒烟，已通知护林员前往。", "emergency", emergency},
	{"07", "hazard", "路面塌陷", "暴雨后村道出现塌陷，已设警示。", "urgent", emergency},
	{"99", "appeal", "走失宠物求助", "居民请求协助张贴寻物启事。", "low", enforcement},
}

var sources = []string{"grid", "grid", "grid", "public", "window", "phone", "hotline", "web", "campaign"}

// tell gives the fields of an event after a story.
func (s *seeder) tell(t story, v service.Division) map[string]any {
	return map[string]any{"title": t.title + "（演示）", "type": t.kind, "line": t.line, "content": t.content + "本条为演示数据。", "urgency": t.urgency,
		"village": v.Code, "source": pick(s, sources), "scale": "01", "people_count": int64(1 + s.dice.IntN(4)),
		"point":         map[string]any{"lng": v.Lng + int64(s.dice.IntN(8000)) - 4000, "lat": v.Lat + int64(s.dice.IntN(8000)) - 4000},
		"people/0/name": s.person(), "people/0/phone": s.phone()}
}

// officer is who works at a station of the demo; stations without a login
// of their own are served by the enforcement team.
func officer(station string) (string, string) {
	switch station {
	case police:
		return "police", police
	case emergency:
		return "safety", emergency
	}
	return "station", enforcement
}

const pastEvents = 190

// events tells the past two months and the matters of today.
func (s *seeder) events() {
	for i := range pastEvents {
		at := s.end - seedDays*day + 3*hour + int64(i)*((seedDays-2)*day)/pastEvents
		d := time.UnixMilli(at).In(zone)
		at = time.Date(d.Year(), d.Month(), d.Day(), 8, 0, 0, 0, zone).UnixMilli() + s.span(0, 11*hour)
		t := pick(s, stories)
		switch {
		case i%9 == 3:
			s.villageEvent(at, t)
		case i%31 == 8:
			s.life(at, "duty", "event", "register", s.tell(t, pick(s, s.villages)), []move{{after: s.span(5*minute, 2*hour), who: "duty", step: "file_only", in: said("咨询类，已答复。")}})
		case i%37 == 9:
			s.life(at, "village", "event", "report", s.tell(t, s.villages[0]), []move{{after: s.span(5*minute, hour), who: "duty", step: "reject", in: reason("invalid", "经核实情况不实。")}})
		default:
			s.life(at, "duty", "event", "register", s.tell(t, pick(s, s.villages)), s.wholeWay(t))
		}
	}
	s.today()
}

// wholeWay takes an event from the desk to its end; a few are late.
func (s *seeder) wholeWay(t story) []move {
	who, station := officer(t.station)
	work := map[string][2]int64{"emergency": {20 * minute, 80 * minute}, "urgent": {hour, 12 * hour}, "online": {hour, 30 * hour}}[t.urgency]
	if work[1] == 0 {
		work = [2]int64{3 * hour, 60 * hour}
	}
	if s.dice.IntN(14) == 0 {
		work[1] *= 4
	}
	moves := []move{
		{after: s.span(3*minute, 30*minute), who: "duty", step: "dispatch", in: to(station, "请现场核实并反馈。")},
		{after: s.span(5*minute, 40*minute), who: who, step: "sign"},
	}
	if t.urgency == "emergency" {
		moves = append(moves, move{after: 5 * minute, who: who, step: "feedback", in: said("已到现场，正在处置。")})
	}
	if s.dice.IntN(6) == 0 {
		moves = append(moves, move{after: 20 * minute, who: "leader", step: "instruct", in: said("请抓紧办理，注意安全，及时回复群众。")})
	}
	moves = append(moves, move{after: s.span(work[0], work[1]), who: who, step: "resolve", in: values(map[string]any{"result": "已到现场处理，当事人认可。", "solved": true, "method": "09"})})
	if s.dice.IntN(12) == 0 {
		moves = append(moves, move{after: 2 * hour, who: "duty", step: "reopen", in: reason("incomplete", "现场照片显示未处理完毕。")},
			move{after: s.span(hour, 8*hour), who: who, step: "resolve", in: values(map[string]any{"result": "已再次处理完毕。", "solved": true, "method": "09"})})
	}
	moves = append(moves, move{after: s.span(30*minute, 20*hour), who: "duty", step: "verify"},
		move{after: s.span(10*minute, 10*hour), who: "duty", step: "rate", in: values(map[string]any{"rating": pick(s, []string{"satisfied", "satisfied", "satisfied", "fair", "dissatisfied"})})},
		move{after: s.span(minute, hour), who: "duty", step: "close", in: values(map[string]any{"retention": "y5"})})
	if s.dice.IntN(3) == 0 {
		moves = append(moves, move{after: 3 * day, who: "duty", step: "archive", in: values(map[string]any{"retention": "y5"})})
	}
	return moves
}

// villageEvent stays in its village: reported by the grid member, handled
// there, verified by the centre.
func (s *seeder) villageEvent(at int64, t story) {
	s.life(at, "grid", "event", "report_village", s.tell(t, s.villages[0]), []move{
		{after: s.span(5*minute, 2*hour), who: "village", step: "accept"},
		{after: s.span(10*minute, hour), who: "village", step: "dispatch_down", in: to(s.villages[0].Code+"001", "请上门了解。")},
		{after: s.span(5*minute, hour), who: "grid", step: "sign"},
		{after: s.span(hour, 30*hour), who: "grid", step: "resolve", in: values(map[string]any{"result": "已上门解决。", "solved": true, "method": "09"})},
		{after: s.span(hour, 10*hour), who: "duty", step: "verify"},
		{after: hour, who: "duty", step: "close", in: values(map[string]any{"retention": "y5"})},
	})
}

// today leaves one matter or more in every state that a screen shows.
func (s *seeder) today() {
	register := func(age int64, i int, moves ...move) {
		s.life(s.end-age, "duty", "event", "register", s.tell(stories[i], pick(s, s.villages)), moves)
	}
	sent := func(rest ...move) []move {
		return append([]move{{after: 3 * minute, who: "duty", step: "dispatch", in: to(enforcement, "请现场核实并反馈。")}}, rest...)
	}
	signed := func(rest ...move) []move {
		return sent(append([]move{{after: 10 * minute, who: "station", step: "sign"}}, rest...)...)
	}
	done := values(map[string]any{"result": "已现场处置完毕。", "solved": true, "method": "09"})

	// New: at the centre, in the village, at the grid.
	s.life(s.end-4*minute, "grid", "event", "report", s.tell(stories[0], s.villages[0]), nil)
	s.life(s.end-35*minute, "police", "event", "report", s.tell(stories[9], pick(s, s.villages)), nil)
	s.life(s.end-20*minute, "grid", "event", "report_village", s.tell(stories[5], s.villages[0]), nil)
	s.life(s.end-3*hour, "grid", "event", "report_village", s.tell(stories[2], s.villages[0]), []move{{after: 20 * minute, who: "village", step: "accept"}})
	s.life(s.end-5*hour, "grid", "event", "report_village", s.tell(stories[11], s.villages[0]), []move{
		{after: 10 * minute, who: "village", step: "accept"}, {after: 10 * minute, who: "village", step: "dispatch_down", in: to(s.villages[0].Code+"001", "请查看。")}})
	s.life(s.end-28*hour, "grid", "event", "report_village", s.tell(stories[6], s.villages[0]), []move{
		{after: 10 * minute, who: "village", step: "accept"}, {after: hour, who: "village", step: "escalate", in: said("涉及两村，超出本村能力。")}})
	s.life(s.end-2*hour, "village", "event", "record", withResult(s.tell(stories[13], s.villages[0]), "已当场答复并登记。"), nil)
	s.life(s.end-26*hour, "grid", "event", "report", s.tell(stories[18], s.villages[0]), []move{{after: 5 * minute, who: "grid", step: "withdraw", in: reason("settled", "")}})
	register(40*minute, 7)
	register(90*minute, 1, sent()...)
	// Being worked on; warned, yellow and red ones.
	register(26*hour, 8, signed()...)
	register(4*day, 10, signed()...)
	register(6*day, 0, sent()...)
	register(7*day, 2, signed()...)
	register(14*day, 6, signed()...)
	register(30*hour, 3, signed()...)
	register(52*hour, 1, signed()...)
	register(75*minute, 16, signed(move{after: 5 * minute, who: "station", step: "feedback", in: said("已到现场，烟雾为村民焚烧秸秆，正在扑灭。")})...)
	// Waiting: verification, an approval, the end of a pause, help, another township.
	register(5*hour, 12, signed(move{after: 3 * hour, who: "station", step: "resolve", in: done})...)
	register(29*hour, 4, signed(move{after: 3 * hour, who: "station", step: "resolve", in: done}, move{after: hour, who: "duty", step: "reopen", in: reason("dissatisfied", "群众反映仍未解决。")})...)
	register(3*day, 7, signed(move{after: day, who: "station", step: "ask_extension", in: inputs(map[string]any{"clock": "handle", "limit": "3wd", "reason": "coordination"}, "需与供水公司协调。")})...)
	register(5*day, 17, signed(move{after: 2 * hour, who: "station", step: "ask_extension", in: inputs(map[string]any{"clock": "handle", "limit": "2wd", "reason": "construction"}, "需路面施工。")},
		move{after: hour, who: "leader", step: "extend", in: inputs(map[string]any{"clock": "handle", "limit": "2wd"}, "同意，注意安全。")})...)
	register(8*day, 6, signed(move{after: day, who: "station", step: "ask_suspension", in: reason("expertise", "等待测绘结果。")},
		move{after: 2 * hour, who: "leader", step: "suspend", in: reason("expertise", "同意中止，测绘结果出具后恢复。")})...)
	register(2*day, 5, signed(move{after: hour, who: "duty", step: "assist", in: inputs(map[string]any{"targets": []string{police, s.villages[0].Code}}, "请派出所、村里协助。")},
		move{after: minute, who: "duty", step: "copy", in: inputs(map[string]any{"targets": []string{s.villages[0].Code, justice}}, "请阅知。")},
		move{after: hour, who: "duty", step: "urge", in: said("请尽快反馈。")})...)
	register(20*hour, 8, move{after: hour, who: "duty", step: "offer", in: inputs(map[string]any{"to": county, "reason": "beyond"}, "涉及跨镇河道，请县里协调。")})
	register(33*hour, 14, sent(move{after: 30 * minute, who: "station", step: "return", in: reason("not_ours", "不属本队职责。")},
		move{after: 20 * minute, who: "duty", step: "dispatch", in: to(enforcement, "请牵头。")}, move{after: hour, who: "station", step: "return", in: reason("not_ours", "仍不属本队职责。")})...)
	minor := s.tell(stories[9], s.villages[1])
	minor["restricted"] = "minor"
	s.life(s.end-6*hour, "duty", "event", "register", minor, nil)
	s.merged()
}

func withResult(fields map[string]any, result string) map[string]any {
	fields["result"] = result
	return fields
}

// merged tells of one hole in the road that two people reported.
func (s *seeder) merged() {
	v := pick(s, s.villages)
	var parent envelope.RecordID
	s.life(s.end-10*hour, "duty", "event", "register", s.tell(stories[17], v), nil, func(r *domain.Record) { parent = r.ID })
	s.life(s.end-9*hour, "duty", "event", "register", s.tell(stories[17], v), nil, func(r *domain.Record) {
		s.at(s.end-8*hour, func() {
			_, err := s.box.Step(s.ctx, s.people["duty"], r.ID, "merge_into", "", inputs(map[string]any{"record": parent.String(), "reason": "same_matter"}, ""))
			s.keep(err)
		})
	})
}

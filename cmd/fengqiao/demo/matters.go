package demo

import (
	"fmt"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/service"
)

// petitions tells petitions on each of their three levels.
func (s *seeder) petitions() {
	way := func(upTo int) []move {
		return []move{
			{after: 2 * hour, who: "petition", step: "register", in: values(map[string]any{"first": true, "legal_route": "petition"})},
			{after: hour, who: "petition", step: "transfer", in: to(farming, "请依法受理并按期答复。")},
			{after: day, who: "petition", step: "transfer", in: to(enforcement, "改由你队办理。")},
			dated(move{after: 2 * day, who: "station", step: "accept", in: values(map[string]any{"legal_route": "petition"})}, "accepted_on"),
			dated(move{after: day, who: "station", step: "contact"}, "contacted_on"),
			dated(move{after: 6 * day, who: "station", step: "reply", in: values(map[string]any{"decision": "partly", "reply": "经核实，反映情况部分属实，已责成整改（演示）。",
				"basis": "《信访工作条例》第三十二条（演示）。", "public_reply": true})}, "replied_on"),
			{after: 3 * day, who: "petition", step: "request_review", in: said("信访人不服处理意见。")},
			{after: 8 * day, who: "petition", step: "review", in: values(map[string]any{"review_decision": "support", "review_text": "维持原处理意见（演示）。"})},
			{after: 3 * day, who: "petition", step: "request_rereview", in: said("信访人申请复核。")},
			{after: 8 * day, who: "petition", step: "rereview", in: values(map[string]any{"rereview_decision": "support", "rereview_text": "复核终结（演示）。"})},
			{after: day, who: "petition", step: "close", in: values(map[string]any{"close_reason": "final", "retention": "y30"})},
			{after: 2 * day, who: "petition", step: "archive", in: values(map[string]any{"retention": "y30"})},
		}[:upTo]
	}
	for i, upTo := range []int{12, 12, 0, 1, 2, 4, 5, 5, 6, 7, 8, 9, 10} {
		s.petition(s.morning([]int{58, 55, 0, 1, 2, 6, 12, 50, 14, 20, 26, 32, 40}[i]), "claim", way(upTo))
	}
	s.petition(s.morning(9), "suggestion", []move{
		{after: hour, who: "petition", step: "register"}, {after: hour, who: "petition", step: "not_accept", in: reason("incompetent", "请向县级主管部门反映。")}})
	s.petition(s.morning(16), "claim", append(way(5),
		move{after: day, who: "station", step: "ask_extension", in: inputs(map[string]any{"clock": "handle", "limit": "30d", "reason": "complex"}, "涉及多个部门。")},
		move{after: hour, who: "leader", step: "extend", in: inputs(map[string]any{"clock": "handle", "limit": "30d"}, "同意延长三十日，告知信访人。")}))
	s.petition(s.morning(3), "accusation", way(1))
	for i := range 4 { // answered in the end, as most are
		s.petition(s.morning(48-5*i), "claim", append(way(6), move{after: 12 * hour, who: "petition", step: "implement", in: said("处理意见已落实。")},
			move{after: hour, who: "petition", step: "rate", in: values(map[string]any{"rating": "satisfied"})},
			move{after: day, who: "petition", step: "close", in: values(map[string]any{"close_reason": "performed", "retention": "y30"})}))
	}
}

func (s *seeder) petition(at int64, class string, moves []move) {
	v := pick(s, s.villages)
	t := pick(s, []story{{title: "反映道路硬化标准不一", content: "本村两段道路硬化厚度不同，要求核实。"}, {title: "反映征地补偿款发放进度", content: "要求公开补偿款发放进度。"},
		{title: "反映养殖场异味", content: "夏季异味较重，要求整治。"}, {title: "要求落实困难补助", content: "家庭困难，申请临时救助。"}})
	fields := map[string]any{"title": t.title + "（演示）", "channel": pick(s, []string{"visit", "web", "letter", "hotline", "national"}), "class": class, "village": v.Code, "type": "1102",
		"content": t.content + "本条为演示数据。", "claims": "请求依法答复。", "people_count": int64(1), "petitioners/0/name": s.person(), "petitioners/0/phone": s.phone()}
	s.life(at, "petition", "petition", "receive", fields, moves)
}

// hazards tells inspections whose findings are put right, or not yet.
func (s *seeder) hazards() {
	found := []story{{"fire", "", "灭火器失效", "车间内 3 具灭火器压力不足。", "general", ""}, {"electricity", "", "临时用电不规范", "配电箱未上锁，线路裸露。", "general", ""},
		{"building", "", "老屋墙体倾斜", "闲置老屋外墙倾斜，邻近道路。", "major", ""}, {"gas", "", "瓶装燃气混放", "厨房与仓库未分隔。", "general", ""},
		{"flood", "", "排水沟淤塞", "沟渠淤塞，汛期易倒灌。", "general", ""}, {"confined_space", "", "污水井无警示", "污水井未设警示和通风。", "major", ""}}
	way := func(upTo, due int) []move {
		return []move{
			{after: 20 * minute, who: "duty", step: "dispatch", in: to(emergency, "请下达整改通知。")},
			{after: 2 * hour, who: "safety", step: "order", in: values(map[string]any{"measures": "立即整改并落实专人负责（演示）。", "rectify_by": s.date(due)})},
			{after: 3 * day, who: "safety", step: "rectify", in: values(map[string]any{"result": "已按要求整改（演示）。"})},
			{after: day, who: "safety", step: "pass"},
		}[:upTo]
	}
	for i := range 30 {
		upTo, due, age := 4, 0, 57-i*3/2
		if i >= 22 {
			upTo, due, age = []int{0, 1, 2, 2, 2, 3, 3, 2}[i-22], []int{0, 0, 6, 1, -2, 3, 3, -6}[i-22], []int{0, 1, 4, 6, 9, 5, 7, 14}[i-22]
		}
		s.hazard(s.morning(age), found[i%len(found)], way(upTo, due))
	}
	s.hazard(s.morning(11), found[2], append(way(3, 3), move{after: day, who: "safety", step: "fail", in: noted(map[string]any{"rectify_by": s.date(4)}, "支撑仍不牢固。")}))
	s.hazard(s.morning(15), found[5], append(way(2, -5), move{after: 8 * day, who: "safety", step: "refer", in: reason("refuse", "逾期拒不整改。")}))
}

func (s *seeder) hazard(at int64, t story, moves []move) {
	v := pick(s, s.villages)
	fields := map[string]any{"title": t.title + "（演示）", "type": t.kind, "grade": t.urgency, "village": v.Code, "content": t.content + "本条为演示数据。", "unit": "演示单位",
		"place_type": "enterprise", "inspected_at": at - 10*minute, "contact": s.person(), "contact_phone": s.phone(),
		"point": map[string]any{"lng": v.Lng + int64(s.dice.IntN(8000)) - 4000, "lat": v.Lat + int64(s.dice.IntN(8000)) - 4000}}
	s.life(at, "safety", "hazard", "found", fields, moves)
}

// notices go out with receipts; some people have not read theirs.
func (s *seeder) notices() {
	everyone := []string{s.villageCode(0), s.villageCode(1), s.villageCode(2), enforcement, police, emergency, justice}
	send := []move{{after: 5 * minute, who: "duty", step: "copy", in: inputs(map[string]any{"targets": everyone}, "")}, {after: 10 * minute, who: "leader", step: "issue"}}
	read := append(send[:2:2], move{after: hour, who: "village", step: "receipt"}, move{after: hour, who: "station", step: "receipt"}, move{after: hour, who: "police", step: "receipt"})
	notice := func(age int64, class, title, content string, days int, moves []move) {
		fields := map[string]any{"title": title + "（演示）", "class": class, "content": content + "本通知为演示数据。"}
		if days != 0 {
			fields["needs_answer"], fields["answer_by"] = true, s.date(days)
		}
		s.life(s.end-age, "duty", "notice", "draft", fields, moves)
	}
	notice(40*day, "meeting", "平安建设月度例会", "请各村、站所负责人参加。", 0, append(read[:5:5], move{after: 5 * day, who: "duty", step: "close"}))
	notice(20*day, "guidance", "相邻纠纷统一处置意见", "请按附件口径办理。", 0, append(read[:5:5], move{after: 9 * day, who: "duty", step: "close"}))
	notice(3*day, "task", "安全隐患大排查", "请各村五日内完成排查并反馈。", 3, append(read[:4:4], move{after: 5 * hour, who: "village", step: "answer", in: said("已排查，未发现新的隐患。")}))
	notice(5*hour, "warning", "低温雨雪天气预警", "请做好防范，落实值班。", 0, read[:3])
	notice(26*hour, "information", "上周事件办理情况通报", "请对照整改。", 0, append(send[:2:2], move{after: hour, who: "leader", step: "cancel", in: said("数据有误，重新发布。")}))
	notice(40*minute, "task", "值班表调整", "请核对本周值班安排。", 0, nil)
}

func (s *seeder) villageCode(i int) string {
	if i < len(s.villages) {
		return s.villages[i].Code
	}
	return Township
}

// shifts fills the roster from a fortnight ago to a month ahead. Past ones
// were handed over with both signatures; the present one is on.
func (s *seeder) shifts() {
	if s.err != nil {
		return
	}
	first := time.UnixMilli(s.end).In(zone).AddDate(0, 0, -14)
	s.at(s.end-15*day, func() {
		for d := range 45 {
			s.shift(first.AddDate(0, 0, d), false)
			s.shift(first.AddDate(0, 0, d), true)
		}
	})
}

// roster plans a fortnight more where the plan ends within a week, and
// brings the present shift on, so that a demo found again weeks later has
// somebody on duty.
func (s *seeder) roster() {
	now := s.now()
	planned, err := s.box.Roster(s.people["duty"], now-2*day, now+30*day)
	s.keep(err)
	last := now - day
	for _, shift := range planned.Items {
		last = max(last, shift.Start)
	}
	s.end = 0 // planned only: the present is no past to be told
	if last < now+7*day {
		for d := int64(1); d <= 14; d++ {
			date := time.UnixMilli(last + d*day).In(zone)
			s.shift(date, false)
			s.shift(date, true)
		}
	}
	duty, err := s.box.Duty(s.people["duty"])
	s.keep(err)
	if duty.Shift == nil || duty.Shift.State != "planned" || s.err != nil {
		return
	}
	id, err := envelope.ParseRecordID(duty.Shift.ID)
	s.keep(err)
	_, err = s.box.Step(s.ctx, s.people["duty"], id, "go_on", "", said(""))
	s.keep(err)
}

func (s *seeder) shift(date time.Time, night bool) {
	slot, from, hours, who, next := "day", 8, int64(9), "duty", "duty2"
	if night {
		slot, from, hours, who, next = "night", 17, 15, "duty2", "duty"
	}
	start := time.Date(date.Year(), date.Month(), date.Day(), from, 0, 0, 0, zone).UnixMilli()
	end := start + hours*hour
	fields := map[string]any{"date": date.Format(time.DateOnly), "slot": slot, "start": start, "end": end, "leader": s.people["leader"].User.String(),
		"assigned": []string{s.people[who].User.String()}, "phone": "0575-87010000"}
	r, err := s.box.Create(s.ctx, s.people["duty"], "shift", "", values(fields))
	if err != nil {
		s.keep(fmt.Errorf("demo: shift: %w", err))
		return
	}
	if start <= s.end {
		s.at(end, s.supervise) // nothing rings when a shift is handed over
		s.goOn(start, r.ID, "shift", []move{{step: "go_on", who: who}, {after: end - start, who: who, step: "hand_over", in: values(map[string]any{
			"equipment_ok": true, "summary": "当班平稳，未办结事项已交接（演示）。", "open_items": 0, "open_alarms": 0})},
			{after: 5 * minute, who: next, step: "take_over", in: inputs(map[string]any{"equipment_ok": true}, "")}})
	}
}

// log writes the duty log, also when nothing happened.
func (s *seeder) log() {
	for d := range 14 {
		at := s.morning(14 - d)
		s.life(at, "duty", "duty_log", "log_done", map[string]any{"kind": pick(s, []string{"zero", "document", "patrol", "check"}), "content": "当日巡查正常，无异常（演示）。", "action": "已记录。"}, nil)
		if d%3 == 0 {
			s.life(at+hour, "duty", "duty_log", "log", map[string]any{"kind": "call", "content": "来电询问办事流程（演示）。", "from_name": s.person(), "from_phone": s.phone()},
				[]move{{after: hour, who: "duty", step: "finish", in: values(map[string]any{"action": "已答复。"})}})
		}
	}
	s.life(s.end-90*minute, "duty", "duty_log", "log", map[string]any{"kind": "call", "content": "县中心来电了解汛情，待回复（演示）。", "from_unit": "县级中心", "urgency": "urgent"}, nil)
	s.life(s.end-5*hour, "duty", "duty_log", "log", map[string]any{"kind": "visit", "content": "两名村民来访反映灌溉用水，已约下午答复（演示）。"}, nil)
}

// supervision lets the box look at its thresholds twice a day and hourly
// on the last, as it does of itself every few seconds; people deal with
// what rings, so that the past does not ring in the present.
func (s *seeder) supervision() {
	for at := s.end - seedDays*day + 7*hour; at < s.end-day; at += 12 * hour {
		s.at(at, s.supervise)
	}
	for at := s.end - day; at <= s.end; at += hour {
		s.at(at, s.supervise)
	}
}

func (s *seeder) supervise() {
	s.keep(s.box.Supervise(s.ctx))
	_, err := s.box.Records(s.ctx, s.people["duty"], service.Query{Limit: 1}) // lists wait for what was just written
	s.keep(err)
	alarms, err := s.box.Alarms(s.people["duty"])
	s.keep(err)
	for _, a := range alarms.Items {
		id, err := envelope.ParseRecordID(a.ID)
		s.keep(err)
		if s.err != nil {
			return
		}
		step, in := "clear", reason("handled", "")
		if s.clock.now.Load() > s.end-2*hour && a.Level > 1 {
			step, in = "acknowledge", said("") // the last ones are known, not yet dealt with
		}
		if a.State == "raised" {
			_, err = s.box.Step(s.ctx, s.people["duty"], id, step, "", in)
			s.keep(err)
		}
	}
}

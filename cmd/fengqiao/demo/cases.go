package demo

// dispute is a case to mediate.
type dispute struct{ kind, title, facts, claims string }

var disputes = []dispute{
	{"0201", "相邻采光纠纷", "双方因建房间距发生争执，一方认为影响采光。", "要求降低围墙高度。"},
	{"0202", "共墙使用纠纷", "双方共用山墙，一方翻建时拆除部分墙体。", "要求恢复原状。"},
	{"0103", "分家析产纠纷", "兄弟三人对老屋份额说法不一。", "要求按约定分割。"},
	{"0902", "宅基地界址纠纷", "两户对后院界址各执一词。", "要求明确界址。"},
	{"0503", "交通事故赔偿纠纷", "村道上两车刮擦，双方对赔偿数额有分歧。", "要求赔偿修理费和误工费。"},
	{"0804", "民间借贷纠纷", "借款到期未还，双方对利息约定理解不同。", "要求归还本金。"},
	{"0701", "劳务报酬纠纷", "工人反映包工头拖欠工资。", "要求支付工资。"},
	{"0402", "物业管理纠纷", "业主与物业就停车费用发生争议。", "要求公开账目。"},
	{"0507", "劳务受害责任纠纷", "帮工时摔伤，对医疗费承担有争议。", "要求承担医疗费。"},
}

// cases tells mediation cases at every stage, and the archived ones of the
// past weeks.
func (s *seeder) cases() {
	for i := range 20 {
		d := disputes[i%len(disputes)]
		at := s.morning(58 - 2*i)
		switch i % 4 {
		case 3:
			s.mediate(at, d, s.failing())
		case 2:
			s.mediate(at, d, s.oral())
		default:
			s.mediate(at, d, s.written(d, "performed"))
		}
	}
	opening := s.opening()
	s.mediate(s.end-30*minute, disputes[0], nil)
	s.mediate(s.end-3*hour, disputes[7], opening[:1])
	s.mediate(s.morning(2), disputes[5], opening[:2])
	s.mediate(s.morning(4), disputes[1], s.sessions(1))
	s.mediate(s.morning(9), disputes[4], s.sessions(2))
	s.mediate(s.morning(33), disputes[2], s.sessions(2)) // over its thirty days
	s.mediate(s.morning(12), disputes[8], append(s.sessions(1),
		move{after: hour, who: "mediator", step: "ask_suspension", in: reason("expertise", "等待伤残鉴定。")},
		move{after: 2 * hour, who: "justice", step: "suspend", in: reason("expertise", "同意中止。")}))
	s.mediate(s.morning(6), disputes[6], append(s.sessions(1),
		move{after: hour, who: "mediator", step: "escalate", in: said("一方扬言召集工友围堵，请派出所提前介入。")}))
	for i, stage := range []string{"agreed", "applied", "confirmed", "performing", "breached", "performed"} {
		d := disputes[(i+3)%len(disputes)]
		s.mediate(s.morning(24-2*i), d, s.written(d, stage))
	}
	s.mediate(s.end-9*hour, disputes[0], s.oral()[:5])
	s.mediate(s.morning(19), disputes[4], append(s.written(disputes[4], "applied"), move{after: 6 * day, who: "justice", step: "confirm_refused",
		in: values(map[string]any{"confirmation_result": "rejected", "confirmation_refusal": "unclear"})}))
	s.mediate(s.morning(9), disputes[8], s.failing()[:len(s.failing())-3])
	whole := s.written(disputes[1], "performed")
	s.mediate(s.morning(11), disputes[1], whole[:len(whole)-5])
	s.mediate(s.morning(16), disputes[7], whole[:len(whole)-2])
	s.mediate(s.morning(5), disputes[0], []move{{after: hour, who: "mediator", step: "withdraw", in: reason("settled", "双方已自行和解。")}})
	s.mediate(s.morning(7), disputes[7], []move{{after: hour, who: "mediator", step: "reject", in: reason("lawsuit", "法院已受理。")}})
	s.mediate(s.morning(8), disputes[5], append(s.sessions(1), move{after: hour, who: "mediator", step: "terminate",
		in: noted(map[string]any{"end_reason": "refuse", "remedies": []string{"lawsuit", "arbitration"}}, "被申请人明确拒绝继续调解。")}))
}

func (s *seeder) mediate(at int64, d dispute, moves []move) {
	v := pick(s, s.villages)
	fields := map[string]any{"title": d.title + "（演示）", "type": d.kind, "source": pick(s, []string{"application", "application", "police", "petition"}), "committee": committee,
		"village": v.Code, "assigned": []string{s.people["mediator"].User.String()}, "facts": d.facts + "本条为演示数据。", "claims": d.claims, "place": v.Name,
		"difficulty": "ordinary", "people_count": int64(2), "violence_check": "none"}
	for i, role := range []string{"applicant", "respondent"} {
		p := []string{"parties/0/", "parties/1/"}[i]
		fields[p+"name"], fields[p+"role"], fields[p+"consent"], fields[p+"sex"] = s.person(), role, "given", pick(s, []string{"1", "2"})
		fields[p+"phone"], fields[p+"address"] = s.phone(), v.Name+"（演示地址）"
	}
	s.life(at, "mediator", "mediation", "register", fields, moves)
}

// opening takes a case up to its mediators.
func (s *seeder) opening() []move {
	me := s.people["mediator"].User.String()
	return []move{
		{after: hour, who: "mediator", step: "accept"},
		{after: hour, who: "justice", step: "assign", in: values(map[string]any{"assigned": []string{me}})},
	}
}

// paper files one document of the dossier with the values under its keys.
func paper(document string, fields map[string]any) move {
	in := map[string]any{}
	for key, v := range fields {
		in["documents/"+document+"/0/"+key] = v
	}
	m := move{after: 5 * minute, who: "mediator", step: "file", in: values(in)}
	m.in.Inputs = map[string]any{"document": document}
	return m
}

// sessions opens a case, files its first papers and holds so many sessions.
func (s *seeder) sessions(n int) []move {
	today := s.date(-60) // papers are dated when the case began, never later
	moves := append(s.opening(),
		paper("application", map[string]any{"facts": "见登记情况（演示）。", "claims": "请求调解（演示）。", "voluntary": true, "applied_on": today}),
		paper("rights_notice", map[string]any{"signed_by": "双方当事人", "given_on": today}),
		paper("identity_proof", map[string]any{"of": "双方当事人", "checked_on": today}))
	for i := range n {
		item := []string{"sessions/0/", "sessions/1/"}[i]
		moves = append(moves, move{after: s.span(2*hour, 20*hour), who: "mediator", step: "session", in: values(map[string]any{
			item + "held_at": s.end - 61*day, item + "form": "site", item + "place": "村调解室", item + "result": "continue",
			item + "content": "双方陈述了意见，分歧有所缩小（演示）。"})})
	}
	return moves
}

// written takes a case through a written agreement to a stage.
func (s *seeder) written(d dispute, stage string) []move {
	today := s.date(-60)
	moves := append(s.sessions(1),
		paper("mediation_record", map[string]any{"held_at": s.end - 60*day, "place": "镇调解室", "content": "经调解，双方达成一致（演示）。", "result": "agreed", "recorder": "演示记录员"}),
		paper("agreement", map[string]any{"facts": d.facts, "terms": "一、双方互谅互让，恢复原状；\n二、今后互不追究（演示）。", "manner": "签订之日起十五日内履行。", "copies": 3, "signed_on": today}))
	kind := map[string]any{"mediator_signed": true, "stamped": true, "parties/0/signed": true, "parties/1/signed": true,
		"performance_kind": "dated", "perform_by": s.date(20), "agreed_amount": int64(100 * (500 + s.dice.IntN(20000)))}
	if stage == "performing" {
		kind["performance_kind"], kind["perform_by"] = "instalments", s.date(5)
		kind["instalments/0/due_on"], kind["instalments/0/amount"] = s.date(5), int64(300000)
		kind["instalments/1/due_on"], kind["instalments/1/amount"] = s.date(65), int64(300000)
	}
	moves = append(moves, dated(move{after: hour, who: "mediator", step: "agree_written", in: values(kind)}, "agreed_on"))
	switch stage {
	case "agreed":
		return moves
	case "applied", "confirmed":
		moves = append(moves, paper("judicial_confirmation", map[string]any{"court": "诸暨市人民法院枫桥人民法庭", "applied_on": today, "request": "请求依法确认调解协议有效（演示）。"}),
			dated(move{after: day, who: "mediator", step: "apply_confirmation", in: with(map[string]any{"confirmation_scope": true}, map[string]any{"scope_checked": true, "joint": true})}, "confirmation_applied_on"),
			dated(move{after: day, who: "mediator", step: "court_accepted"}, "court_accepted_on"))
		if stage == "confirmed" {
			moves = append(moves, dated(move{after: 5 * day, who: "mediator", step: "confirm"}, "confirmed_on"))
		}
		return moves
	case "performing":
		return append(moves, dated(move{after: 2 * day, who: "mediator", step: "pay", in: values(map[string]any{"perform_by": s.date(65)})}, "instalments/0/paid_on"))
	case "breached":
		return append(moves, move{after: 4 * day, who: "mediator", step: "breach", in: noted(map[string]any{"remedies": []string{"lawsuit"}}, "被申请人逾期未履行。")})
	}
	moves = append(moves, paper("performance_proof", map[string]any{"kind": "收条", "performed_on": today}),
		dated(move{after: 3 * day, who: "mediator", step: "perform"}, "performed_on"))
	return append(moves, s.ending("y30")...)
}

// ending visits, rates, closes and archives.
func (s *seeder) ending(retention string) []move {
	today := s.date(-60)
	visit := values(map[string]any{"documents/follow_up/0/visited_on": today, "documents/follow_up/0/visitor": "演示调解员", "documents/follow_up/0/result": "performed",
		"documents/follow_up/0/content": "协议已履行，双方满意（演示）。"})
	return []move{
		{after: 4 * day, who: "mediator", step: "follow_up", in: visit},
		{after: hour, who: "mediator", step: "rate", in: values(map[string]any{"rating": "satisfied"})},
		{after: hour, who: "mediator", step: "close", in: values(map[string]any{"retention": retention})},
		paper("back_cover", map[string]any{"compiled_by": "演示调解员", "compiled_on": today, "pages": 18}),
		{after: 2 * day, who: "justice", step: "archive", in: values(map[string]any{"retention": retention})},
	}
}

func (s *seeder) oral() []move {
	today := s.date(-60)
	moves := append(s.opening(),
		paper("acceptance_form", map[string]any{"facts": "见登记情况（演示）。", "registrar": "演示调解员", "registered_on": today}),
		paper("oral_agreement_form", map[string]any{"facts": "见登记情况（演示）。", "terms": "当场道歉，互谅互让（演示）。", "reached_on": today}),
		dated(move{after: 2 * hour, who: "mediator", step: "agree_oral", in: values(map[string]any{"performance_kind": "immediate"})}, "agreed_on"),
		dated(move{after: minute, who: "mediator", step: "perform"}, "performed_on"))
	return append(moves, s.ending("y10")...)
}

func (s *seeder) failing() []move {
	today := s.date(-60)
	moves := append(s.sessions(1),
		paper("mediation_record", map[string]any{"held_at": s.end - 60*day, "place": "镇调解室", "content": "双方分歧较大（演示）。", "result": "none"}),
		move{after: 3 * day, who: "mediator", step: "fail", in: values(map[string]any{"end_reason": "difference", "remedies": []string{"lawsuit", "arbitration"}})},
		paper("end_notice", map[string]any{"reason": "difference", "remedies": []string{"lawsuit", "arbitration"}, "given_on": today}),
		move{after: day, who: "mediator", step: "close", in: values(map[string]any{"retention": "y10"})})
	return append(moves, move{after: 2 * day, who: "justice", step: "archive", in: values(map[string]any{"retention": "y10"})})
}

package domain

import (
	"maps"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// Missing lists what stands between a record and a step: required values
// and conditions not met, after the operation's values are set. op is nil
// when nothing was entered yet.
func Missing(def *Definition, step *Step, r *Record, op *envelope.Operation) []Failed {
	probe := probeOf(def, step, r, op)
	var failed []Failed
	need := func(key string, title Text) {
		if !hasUnder(probe, key) {
			failed = append(failed, Failed{Path: key, Condition: Condition{Present: key,
				Message: Text{ZH: "请填写" + title.ZH, EN: "Fill in " + title.EN + "."}}})
		}
	}
	for _, s := range step.Fields {
		if field, ok := topField(def, s.Key); ok && s.Required {
			need(s.Key, field.Title)
		}
	}
	if step.Effect == Create || step.Effect == Amend {
		for _, f := range def.Fields {
			if f.Required {
				need(f.Key, f.Title)
			}
		}
	}
	failed = append(failed, CheckAll(step.Needs, probe)...)
	if gate, ok := def.Gate(step.Gate); ok {
		failed = append(failed, CheckAll(gate.Rules, probe)...)
	}
	return failed
}

func topField(def *Definition, key string) (*Field, bool) {
	for i := range def.Fields {
		if def.Fields[i].Key == key {
			return &def.Fields[i], true
		}
	}
	return nil, false
}

// probeOf is the record with the operation's values and the step's own
// constants. Only what they touch is copied: pages ask this of every step.
func probeOf(def *Definition, step *Step, r *Record, op *envelope.Operation) *Record {
	probe := r
	if op != nil {
		probe = r.Clone()
		var entry Entry
		setFields(probe, op, &entry)
	}
	for _, f := range step.Fields {
		if f.Value == "" {
			continue
		}
		if probe == r {
			shallow := *r
			shallow.Open = maps.Clone(r.Open)
			probe = &shallow
		}
		probe.Open = put(probe.Open, f.Key, f.constant(def))
	}
	return probe
}

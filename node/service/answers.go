package service

import (
	"encoding/json"
	"time"

	"github.com/fengqiao/fengqiao/node/seal"
)

const (
	bucketAnswers = "answers"
	answerLife    = 24 * time.Hour
)

// Answer is what a write was answered.
type Answer struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body,omitempty"`
}

// keptAnswer binds an answer to its request.
type keptAnswer struct {
	MAC    []byte `json:"mac"`
	Answer Answer `json:"answer"`
}

// Once runs a write that is not one operation, or gives the answer that the
// same request already got: ErrKeyReused when the key was used for another
// request, ErrInProgress while the first is still at it. Answers stay on
// this box, sealed, since some show a password once.
func (b *Box) Once(c Caller, key string, request []byte, run func() (Answer, error)) (a Answer, replayed bool, err error) {
	name := []byte(requestKey(Caller{Subject: c.Subject, Key: key}))
	if _, busy := b.running.LoadOrStore(string(name), true); busy {
		return a, false, ErrInProgress
	}
	defer b.running.Delete(string(name))
	if _, used, err := b.claim(string(name)); err != nil {
		return a, false, err
	} else if used { // by an operation
		return a, false, ErrKeyReused
	}
	mac := b.requestMAC(string(request))
	sealing := seal.Derive(b.id.BoxKey(), "answer")
	if body, known, err := b.local.Get(bucketAnswers, name); err != nil {
		return a, false, err
	} else if known {
		var kept keptAnswer
		if body, err = seal.Open(sealing, body, name); err == nil {
			err = json.Unmarshal(body, &kept)
		}
		if err == nil && string(kept.MAC) != string(mac) {
			err = ErrKeyReused
		}
		return kept.Answer, true, err
	}
	if a, err = run(); err != nil {
		return a, false, err
	}
	body, err := json.Marshal(keptAnswer{MAC: mac, Answer: a})
	if err != nil {
		return a, false, err
	}
	if err := b.local.Put(bucketAnswers, name, seal.Seal(sealing, body, name), time.Now().Add(answerLife)); err != nil {
		b.log.Error("an answer was not kept; repeating its request is refused or done again", "err", err) // what was done stands
	}
	return a, false, nil
}

// notAnswered refuses an operation under a key that another kind of write
// used.
func (b *Box) notAnswered(key string) error {
	if key == "" {
		return nil
	}
	_, used, err := b.local.Get(bucketAnswers, []byte(key))
	if err == nil && used {
		err = ErrKeyReused
	}
	return err
}

package service

import (
	"errors"
	"fmt"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// What callers tell apart. The sentences that people read are made where
// the person's language is known.
var (
	ErrNotFound       = errors.New("service: no such record")
	ErrForbidden      = errors.New("service: not permitted")
	ErrBehind         = errors.New("service: the view is catching up")
	ErrIndex          = errors.New("service: the search index fails and heals itself")
	ErrKeyReused      = errors.New("service: the idempotency key was used for another request")
	ErrErased         = errors.New("service: the value was erased")
	ErrNotSetUp       = errors.New("service: the box is not set up")
	ErrUnknownKind    = errors.New("service: no such kind")
	ErrSession        = errors.New("service: not signed in")
	ErrCredentials    = errors.New("service: name or password is wrong")
	ErrLocked         = errors.New("service: too many failures, try again later")
	ErrTooFast        = errors.New("service: too many attempts from this address")
	ErrStopping       = errors.New("service: the box is stopping")
	ErrInProgress     = errors.New("service: the same request is being done")
	ErrTooMany        = errors.New("service: too many open streams")
	ErrBusy           = errors.New("service: too many are signing in")
	ErrOldPassword    = errors.New("service: the old password is wrong")
	ErrSetupCode      = errors.New("service: the setup code is wrong or used up")
	ErrDisabled       = errors.New("service: the account is disabled")
	ErrPasswordPolicy = errors.New("service: the password is too weak")
	ErrFull           = errors.New("service: the disk is full")
	ErrState          = errors.New("service: not possible in this state")
)

// MisreadError is a kind that this release does not read as it was adopted.
type MisreadError struct {
	Kind    string
	Version int64
	Cause   error // why it cannot be read at all; nil: it is read otherwise
}

func (e *MisreadError) Error() string {
	why := "it is read otherwise than it was adopted"
	if e.Cause != nil {
		why = e.Cause.Error()
	}
	return fmt.Sprintf("service: 本版本程序读不懂已采用的事项种类 %s（版本 %d），数据未改动，请换回原版本程序 / this release misreads the kind %s, version %d (%s); nothing was changed, go back to the release before",
		e.Kind, e.Version, e.Kind, e.Version, why)
}

func (e *MisreadError) Unwrap() error { return e.Cause }

// Refusal is an operation that would not be applied, with why.
type Refusal struct {
	Verdict envelope.Verdict
	Record  *domain.Record
	Failed  []domain.Failed // conditions, for ReasonCondition and ReasonMissing
}

func (r *Refusal) Error() string {
	return "service: " + r.Verdict.Code.String() + ": " + r.Verdict.Reason
}

// Changed says that the record moved on since the caller saw it.
type Changed struct {
	Record *domain.Record
	Since  envelope.OpID
}

func (*Changed) Error() string { return "service: the record changed meanwhile" }

// FieldError is one wrong value. Path is the field's, Code is stable.
type FieldError struct {
	Path    string
	Code    string
	Message domain.Text
}

// InputError lists what a person must correct.
type InputError struct{ Fields []FieldError }

func (e *InputError) Error() string {
	if len(e.Fields) == 0 {
		return "service: input is not valid"
	}
	return "service: " + e.Fields[0].Path + ": " + e.Fields[0].Code
}

func (e *InputError) add(path, code, zh, en string) {
	e.Fields = append(e.Fields, FieldError{Path: path, Code: code, Message: domain.Text{ZH: zh, EN: en}})
}

func (e *InputError) orNil() error {
	if len(e.Fields) == 0 {
		return nil
	}
	return e
}

package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"syscall"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
)

// problem is an error with its answer.
type problem struct {
	status  int
	code    string
	zh, en  string
	fields  []api.FieldProblem
	changes *api.Changes
	retry   int
}

func (p problem) Error() string { return "httpapi: " + p.code }

func say(lang, zh, en string) string { return domain.Text{ZH: zh, EN: en}.In(lang) }

// plain are errors that always get the same answer.
var plain = []struct {
	err    error
	status int
	code   string
	zh, en string
	retry  int
}{
	{service.ErrNotFound, http.StatusNotFound, "not_found", "没有找到，可能已移走或您没有查看权限", "Not found. It may have moved, or you may not see it.", 0},
	{service.ErrUnknownKind, http.StatusNotFound, "unknown_kind", "没有这种事项", "There is no such kind.", 0},
	{service.ErrForbidden, http.StatusForbidden, "forbidden", "您的角色不能这样做，如确需办理请联系安全管理员授权", "Your role does not allow this. Ask the security administrator.", 0},
	{service.ErrBehind, http.StatusServiceUnavailable, "catching_up", "系统正在处理大量数据，请过几秒再试", "The box is catching up. Try again in a few seconds.", 3},
	{service.ErrIndex, http.StatusServiceUnavailable, "index_failing", "检索索引出错，正在自动修复，请过一会儿再搜", "The search index failed and is repairing itself. Search again in a moment.", 10},
	{service.ErrKeyReused, http.StatusUnprocessableEntity, "idempotency_mismatch", "这次提交与之前的内容不同，请刷新页面后重新提交", "This was submitted before with other content. Reload and submit again.", 0},
	{service.ErrErased, http.StatusGone, "erased", "内容已依规销毁", "The content was erased.", 0},
	{service.ErrNotSetUp, http.StatusServiceUnavailable, "not_set_up", "本机还没有初始化，请先打开 /setup 完成设置", "The box is not set up. Open /setup first.", 0},
	{service.ErrSession, http.StatusUnauthorized, "session_expired", "登录已过期，请重新登录；已填写的内容不会丢失", "Your session has ended. Sign in again; nothing typed is lost.", 0},
	{service.ErrCredentials, http.StatusUnauthorized, "bad_credentials", "用户名或密码不正确", "User name or password is wrong.", 0},
	{service.ErrTooFast, http.StatusTooManyRequests, "too_fast", "这台电脑登录过于频繁，请一分钟后再试", "Too many attempts from this address. Try again in a minute.", 60},
	{service.ErrBusy, http.StatusServiceUnavailable, "busy", "同时登录的人太多，请过几秒再试", "Too many are signing in. Try again in a few seconds.", 3},
	{service.ErrOldPassword, http.StatusUnprocessableEntity, "bad_password", "原密码不正确，请重新输入", "The old password is wrong. Type it again.", 0},
	{service.ErrSetupCode, http.StatusForbidden, "bad_setup_code", "设置码不正确或已失效。请看本机终端；输错 5 次或超过 30 分钟后，重启服务会显示新的设置码", "The setup code is wrong or used up. Look at the terminal; after 5 tries or 30 minutes a restart shows a new one.", 0},
	{service.ErrInProgress, http.StatusConflict, "in_progress", "同一请求正在办理，请稍候", "The same request is being done. Wait a moment.", 2},
	{service.ErrTooMany, http.StatusTooManyRequests, "too_many_streams", "打开的页面太多，请关闭几个后重试", "Too many pages are open. Close some and try again.", 30},
	{service.ErrStopping, http.StatusServiceUnavailable, "stopping", "系统正在重启，请过几秒再试；已填写的内容不会丢失", "The box is restarting. Try again in a few seconds; nothing typed is lost.", 5},
	{syscall.ENOSPC, http.StatusInsufficientStorage, "disk_full", "磁盘已满，暂时不能保存；请系统管理员清理后重试，已填写的内容不会丢失", "The disk is full. Nothing can be saved until the system administrator frees space; nothing typed is lost.", 60},
	{context.Canceled, http.StatusBadRequest, "cancelled", "请求已取消", "The request was cancelled.", 0},
	{io.ErrUnexpectedEOF, http.StatusBadRequest, "body_cut", "内容没有传完，请检查网络后重试", "The content did not arrive whole. Check the line and try again.", 0},
	{os.ErrDeadlineExceeded, http.StatusRequestTimeout, "too_slow", "网络太慢，内容没有传完，请重试", "The line is too slow and the content did not arrive whole. Try again.", 0},
	{service.ErrLocked, http.StatusTooManyRequests, "locked", "尝试次数过多，请 15 分钟后再试，或请安全管理员解锁", "Too many attempts. Try again in 15 minutes or ask the security administrator.", 900},
	{service.ErrDisabled, http.StatusForbidden, "account_disabled", "账号已停用，请联系安全管理员", "The account is disabled. Ask the security administrator.", 0},
	{service.ErrPasswordPolicy, http.StatusUnprocessableEntity, "weak_password", "新密码至少 8 位，含字母、数字、符号中的两种，不含用户名，且不同于旧密码", "The new password needs 8 characters of two kinds, without the user name, and differs from the old one.", 0},
	{service.ErrFull, http.StatusInsufficientStorage, "disk_full", "磁盘已满，暂时不能保存；请系统管理员清理后重试，已填写的内容不会丢失", "The disk is full. Nothing can be saved until the system administrator frees space; nothing typed is lost.", 60},
	{service.ErrState, http.StatusConflict, "wrong_state", "现在不能这样做", "This is not possible now.", 0},
}

// verdicts says why an operation would not apply.
var verdicts = map[string]domain.Text{
	domain.ReasonState:      {ZH: "事项已不在可以这样办理的环节，请刷新后查看", EN: "The matter has left the state for this step. Reload and look."},
	domain.ReasonCondition:  {ZH: "还有条件没有满足", EN: "A condition is not met."},
	domain.ReasonMissing:    {ZH: "还有必填内容没有填写", EN: "A required value is missing."},
	domain.ReasonPermission: {ZH: "您的角色不能办理这一步", EN: "Your role does not allow this step."},
	domain.ReasonAuthority:  {ZH: "您的授权已变更，请重新登录", EN: "Your authority has changed. Sign in again."},
	domain.ReasonErased:     {ZH: "事项已销毁，不能再办理", EN: "The matter was erased."},
	domain.ReasonMerged:     {ZH: "事项已归并，请到主事项办理", EN: "The matter was merged. Work on the main one."},
	domain.ReasonOrder:      {ZH: "其他人刚刚办理过，请查看变化后再提交", EN: "Somebody has just acted. Look at the change and submit again."},
	domain.ReasonInput:      {ZH: "填写的内容不符合要求", EN: "A value is not valid."},
	domain.ReasonField:      {ZH: "这一步不能修改该字段", EN: "This step cannot set the field."},
	domain.ReasonOwnRequest: {ZH: "申请须由他人批准，请由其他有权人员答复", EN: "A request is approved by somebody else than the one who asked. Let another person decide."},
	domain.ReasonTooLong:    {ZH: "超过这一时限允许延长的最长期限，请缩短并使用同一单位（如 30d）", EN: "That is more than one extension may give. Ask for less, in the same unit (such as 30d)."},
	domain.ReasonTooMany:    {ZH: "已达到允许的次数或数量", EN: "The allowed number is reached."},
	domain.ReasonNothing:    {ZH: "没有需要办理的内容", EN: "There is nothing to do."},
	domain.ReasonOfferOpen:  {ZH: "移交尚未答复，请先撤回移交", EN: "An offer is open. Withdraw it first."},
	domain.ReasonNoOffer:    {ZH: "没有对应的移交", EN: "There is no such offer."},
}

// answer turns any error into a problem. Unknown ones are logged under the
// request's number and show no detail.
func (c *call) answer(err error) problem {
	var p problem
	if errors.As(err, &p) {
		return p
	}
	var wrong *service.InputError
	if errors.As(err, &wrong) {
		p = problem{status: http.StatusUnprocessableEntity, code: "invalid_input", zh: "有内容不符合要求，请按提示修改", en: "Some values are not valid. Correct them as shown."}
		for _, f := range wrong.Fields {
			p.fields = append(p.fields, api.FieldProblem{Field: f.Path, Pointer: c.route.pointer(f.Path), Code: f.Code, Message: f.Message.In(c.lang())})
		}
		return p
	}
	var refusal *service.Refusal
	if errors.As(err, &refusal) {
		return c.refused(refusal)
	}
	var changed *service.Changed
	if errors.As(err, &changed) {
		return c.changed(changed)
	}
	for _, known := range plain {
		if errors.Is(err, known.err) {
			return problem{status: known.status, code: known.code, zh: known.zh, en: known.en, retry: known.retry}
		}
	}
	c.server.log.Error("request failed", "id", c.requestID, "route", c.route.ID, "err", err)
	return errInternal
}

var errInternal = problem{status: http.StatusInternalServerError, code: "internal",
	zh: "系统出错了，您填写的内容还在。请稍后再试；若仍不行，请把追踪号告诉系统管理员", en: "Something failed; what you typed is still there. Try again, or tell the system administrator the request number."}

func (c *call) refused(r *service.Refusal) problem {
	text, ok := verdicts[r.Verdict.Reason]
	if !ok {
		text = domain.Text{ZH: "这一步现在不能办理", EN: "This step is not possible now."}
	}
	p := problem{status: http.StatusConflict, code: r.Verdict.Reason, zh: text.ZH, en: text.EN}
	switch {
	case r.Verdict.Code == envelope.Unauthorised:
		p.status = http.StatusForbidden
	case r.Verdict.Reason == domain.ReasonMissing || r.Verdict.Reason == domain.ReasonCondition || r.Verdict.Reason == domain.ReasonInput || r.Verdict.Reason == domain.ReasonField:
		p.status = http.StatusUnprocessableEntity
	}
	for _, f := range r.Failed {
		if msg := f.Condition.Message.In(c.lang()); msg != "" {
			p.fields = append(p.fields, api.FieldProblem{Field: f.Path, Pointer: c.route.pointer(f.Path), Code: "condition", Message: msg})
		}
	}
	return p
}

// changed tells the second officer what the first one did.
func (c *call) changed(e *service.Changed) problem {
	p := problem{status: http.StatusConflict, code: "changed_meanwhile",
		zh: "这件事刚被其他人办理过。请查看变化，再决定是否重新提交", en: "Somebody else has just worked on this. Look at the change, then decide whether to submit again."}
	if changes, err := c.server.box.ChangesSince(c.caller, e.Record.ID, domain.OpText(e.Since)); err == nil {
		p.changes = &changes
	}
	return p
}

// fail writes a problem.
func (c *call) fail(err error) {
	p := c.answer(err)
	body := api.Problem{Type: "/problems/" + p.code, Code: p.code, Title: say(c.lang(), p.zh, p.en), Detail: say(c.lang(), p.zh, p.en), Status: p.status,
		Instance: c.Request.URL.Path, RequestID: c.requestID, Errors: p.fields, RetryAfter: p.retry}
	if p.changes != nil {
		body.Changes, body.Version = p.changes.Changes, p.changes.Version
	}
	if p.retry > 0 {
		c.Header("Retry-After", itoa(p.retry))
	}
	c.Header("Content-Type", "application/problem+json")
	c.JSON(p.status, body)
	c.Abort()
}

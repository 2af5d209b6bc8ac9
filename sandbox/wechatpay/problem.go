package wechatpay

import (
	"encoding/json"
	"net/http"
)

// problem is an error answer: its HTTP status and body.
type problem struct {
	status  int
	code    string
	message string
	detail  map[string]any
}

func (p *problem) Error() string { return p.code + ": " + p.message }

func (p *problem) body() []byte {
	body := map[string]any{"code": p.code, "message": p.message}
	if p.detail != nil {
		body["detail"] = p.detail
	}
	text, err := json.Marshal(body)
	if err != nil {
		return []byte(`{"code":"SYSTEM_ERROR","message":"系统错误"}`)
	}
	return text
}

// fieldProblem is a parameter error that names the field.
func fieldProblem(field string, value any, issue string) *problem {
	return &problem{
		status: http.StatusBadRequest, code: "PARAM_ERROR", message: "参数错误",
		detail: map[string]any{"location": "body", "field": field, "value": value, "issue": issue},
	}
}

func badRequest(message string) *problem {
	return &problem{status: http.StatusBadRequest, code: "INVALID_REQUEST", message: message}
}

func paramError(message string) *problem {
	return &problem{status: http.StatusBadRequest, code: "PARAM_ERROR", message: message}
}

func signError(issue string) *problem {
	return &problem{
		status: http.StatusUnauthorized, code: "SIGN_ERROR", message: "错误的签名，导致验签失败",
		detail: map[string]any{"location": "authorization", "field": "signature", "issue": issue},
	}
}

func forbidden(code, message string) *problem {
	return &problem{status: http.StatusForbidden, code: code, message: message}
}

func notFound(code, message string) *problem {
	return &problem{status: http.StatusNotFound, code: code, message: message}
}

func systemError() *problem {
	return &problem{status: http.StatusInternalServerError, code: "SYSTEM_ERROR", message: "系统异常，请用相同参数重新调用"}
}

// statusOf is the HTTP status that a code comes with in the provider's tables;
// 400 for those not listed.
func statusOf(code string) int {
	switch code {
	case "USERPAYING":
		return http.StatusAccepted
	case "SIGN_ERROR":
		return http.StatusUnauthorized
	case "TRADE_ERROR", "RULE_LIMIT", "OUT_TRADE_NO_USED", "NO_AUTH", "NOT_ENOUGH", "ACCOUNT_ERROR", "USER_ACCOUNT_ABNORMAL":
		return http.StatusForbidden
	case "ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS", "NOT_FOUND":
		return http.StatusNotFound
	case "FREQUENCY_LIMITED", "RATELIMIT_EXCEED":
		return http.StatusTooManyRequests
	case "SYSTEM_ERROR", "OPENID_MISMATCH", "BANK_ERROR":
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// ordered is a refusal that a test asked for by its code.
func ordered(code string) *problem {
	if code == "REPEAT_OVER" { // which has no code of its own
		return badRequest("对应单号已超出重试期，请查单确认后决定是否换单")
	}
	return &problem{status: statusOf(code), code: code, message: "沙箱按要求返回"}
}

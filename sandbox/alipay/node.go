package alipay

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// node is the response object: fields in the order they were added.
type node struct {
	fields []field
}

type field struct {
	key   string
	value any
}

// set adds a field; an empty string is left out, as the gateway does.
func (n *node) set(key string, value any) *node {
	if value != "" {
		n.fields = append(n.fields, field{key, value})
	}
	return n
}

// encode writes the node as the gateway does: fields in order, and every slash
// escaped. The signature covers exactly these bytes.
func (n *node) encode() (string, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, f := range n.fields {
		if i > 0 {
			out.WriteByte(',')
		}
		value, err := encodeValue(f.value)
		if err != nil {
			return "", fmt.Errorf("encode %s: %w", f.key, err)
		}
		fmt.Fprintf(&out, "%q:%s", f.key, value)
	}
	out.WriteByte('}')
	return out.String(), nil
}

func encodeValue(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(bytes.TrimSpace(out.Bytes()), []byte("/"), []byte(`\/`)), nil
}

// success starts the node of a successful call.
func success() *node {
	return new(node).set("code", "10000").set("msg", "Success")
}

// refusal is an answer with a code other than 10000.
type refusal struct {
	code, msg, subCode, subMsg string
}

func (r *refusal) Error() string { return r.subCode + ": " + r.subMsg }

func (r *refusal) node() *node {
	return new(node).set("code", r.code).set("msg", r.msg).set("sub_code", r.subCode).set("sub_msg", r.subMsg)
}

func missing(subCode, subMsg string) *refusal {
	return &refusal{"40001", "Missing Required Arguments", subCode, subMsg}
}

func invalid(subCode, subMsg string) *refusal {
	return &refusal{"40002", "Invalid Arguments", subCode, subMsg}
}

func failed(subCode, subMsg string) *refusal {
	return &refusal{"40004", "Business Failed", subCode, subMsg}
}

func invalidParameter(format string, args ...any) *refusal {
	return failed("ACQ.INVALID_PARAMETER", "参数无效："+fmt.Sprintf(format, args...))
}

func unavailable() *refusal {
	return &refusal{"20000", "Service Currently Unavailable", "isp.unknow-error", "系统繁忙"}
}

package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFieldsAreChangedWhereTheyStand(t *testing.T) {
	t.Parallel()
	const body = `{"mchid":"1","amount":{"total":100,"currency":"CNY"},"desc":"a \"mchid\":\"2\" text"}`
	for _, c := range []struct{ kind, field, value, want string }{
		{"flip", "total", "101", `{"mchid":"1","amount":{"total":101,"currency":"CNY"},"desc":"a \"mchid\":\"2\" text"}`},
		{"flip", "currency", `"USD"`, `{"mchid":"1","amount":{"total":100,"currency":"USD"},"desc":"a \"mchid\":\"2\" text"}`},
		{"flip", "desc", `null`, `{"mchid":"1","amount":{"total":100,"currency":"CNY"},"desc":null}`},
		{"flip", "absent", `1`, body},
		{"duplicate_key", "mchid", `"9"`, `{"mchid":"9","mchid":"1","amount":{"total":100,"currency":"CNY"},"desc":"a \"mchid\":\"2\" text"}`},
		{"duplicate_key", "absent", `1`, body},
	} {
		fault := &Fault{Kind: Kind(c.kind), Field: c.field, Value: c.value}
		require.Equal(t, c.want, string(fault.change([]byte(body))), "%s %s", c.kind, c.field)
	}
	gbk := &Fault{Kind: WrongCharset}
	const note = "{\"remark\":\"\xba\xba\xd7\xd6\","
	require.Equal(t, note+"\"a\":\"\xd6\xa7\xb8\xb6\"}", string(gbk.change([]byte(`{"a":"支付"}`))))
	require.Equal(t, note+"\"a\":\"b\"}", string(gbk.change([]byte(`{"a":"b"}`))), "also where all was ASCII")
}

func TestRulesMustSayWhatTheyNeed(t *testing.T) {
	t.Parallel()
	for _, rule := range []Rule{
		{Kind: Refuse}, {Kind: Flip, Field: "total"}, {Kind: Flip, Value: "1"}, {Kind: DuplicateKey, Field: "total", Value: "x"},
		{Kind: "other"}, {Kind: LoseReply, Answer: "NOT_ENOUGH"},
	} {
		rule.Provider = "wechatpay"
		_, err := New(time.Now).Add(rule)
		require.Error(t, err, "%+v", rule)
	}
	_, err := New(time.Now).Add(Rule{Provider: "wechatpay", Kind: Flip, Field: "total", Value: "1"})
	require.NoError(t, err)
}

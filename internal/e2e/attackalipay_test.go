package e2e_test

import (
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/sandbox/keys"
)

// params are the parameters of one of Alipay's notifications.
type params map[string]string

// alipayClasses are the ways to attack what Alipay sends.
func alipayClasses() []class {
	return []class{
		{"no signature", func(f *forger) attack { return f.changed(func(v url.Values) { v.Del("sign") }) }},
		{"signature of random bytes", func(f *forger) attack {
			return f.changed(func(v url.Values) { v.Set("sign", base64.StdEncoding.EncodeToString(f.bytes(256))) })
		}},
		{"signature of another message", (*forger).swappedSignature},
		{"signed with another key", func(f *forger) attack { return f.signedBy(f.foreign, f.payment(f.open())) }},
		{"signature type changed", func(f *forger) attack {
			p := f.payment(f.open())
			p["sign_type"] = pick(f, []string{"none", "MD5", "RSA", "", "rsa2", "RSA2 ", "HMAC", "SM2", "RSA2,RSA"})
			return f.signedBy(f.alipayKey, p)
		}},
		{"certificate of nobody", func(f *forger) attack {
			p := f.payment(f.open())
			p["alipay_cert_sn"] = f.text(32)
			return f.signedBy(f.alipayKey, p)
		}},
		{"parameter changed after signing", (*forger).parameterChanged},
		{"parameter added after signing", func(f *forger) attack {
			added := pick(f, []string{"passback_params", "refund_fee", "out_biz_no", "gmt_refund", "trans_currency", f.text(5)})
			return f.unlessSame(f.changed(func(v url.Values) { v.Set(added+pick(f, []string{"", "_", " "}), f.text(6)) }))
		}},
		{"parameter removed after signing", func(f *forger) attack {
			return f.changed(func(v url.Values) { v.Del(pick(f, f.signedNames(v))) })
		}},
		{"parameter doubled", func(f *forger) attack {
			k := f.true()
			values, _ := url.ParseQuery(string(k.body))
			name := pick(f, slices.Sorted(maps.Keys(values)))
			more := "&" + url.QueryEscape(name) + "=" + url.QueryEscape(pick(f, []string{values.Get(name), "", "0.01", f.open().number}))
			if f.IntN(2) == 0 {
				k.body = append(k.body, more...)
			} else {
				k.body = append([]byte(more[1:]+"&"), k.body...)
			}
			return attack{kept: k}
		}},
		{"a bit flipped", func(f *forger) attack {
			k := f.true()
			k.body[f.IntN(len(k.body))] ^= 1 << f.IntN(8)
			return f.unlessSame(attack{kept: k})
		}},
		{"parameters joined, signature good", (*forger).joined},
		{"hidden in another shop's order, signature good", (*forger).hidden},
		{"another charset, signature good", func(f *forger) attack {
			p := f.payment(f.open())
			p[pick(f, []string{"subject", "body"})] = "\xb2\xe8\xd2\xb6"
			if f.IntN(2) == 0 {
				p["charset"] = pick(f, []string{"GBK", "gb2312", "GB18030", "utf-16"})
			}
			return f.signedBy(f.alipayKey, p)
		}},
		{"another application's, signature good", func(f *forger) attack {
			p := f.payment(f.open())
			p["app_id"] = pick(f, []string{"2021" + f.text(12), "", p["app_id"] + "0", "9" + p["app_id"][1:]})
			return f.signedBy(f.alipayKey, p)
		}},
		{"another seller's, signature good", func(f *forger) attack {
			p := f.payment(f.open())
			p["seller_id"] = pick(f, []string{"2088" + f.text(12), "", p["seller_id"] + "0"})
			return f.signedBy(f.alipayKey, p)
		}},
		{"another amount, signature good", func(f *forger) attack {
			t := f.any()
			p := f.payment(t)
			p["total_amount"] = yuan(f.wrongFen(t.fen))
			return audit(f.signedBy(f.alipayKey, p))
		}},
		{"an amount that is none, signature good", func(f *forger) attack {
			p := f.payment(f.open())
			p["total_amount"] = pick(f, []string{"", "0.00", "-55.00", "5.5e1", "1e999", "55.000", "0x37", "五十五", "55.00 ", "55,00", "NaN"})
			return f.signedBy(f.alipayKey, p)
		}},
		{"another currency, signature good", func(f *forger) attack {
			p := f.payment(f.open())
			p["trans_currency"] = pick(f, []string{"USD", "HKD", "cny", "CNY ", "JPY"})
			return f.signedBy(f.alipayKey, p)
		}},
		{"a number of nobody's, signature good", func(f *forger) attack {
			p := f.payment(f.any())
			p["out_trade_no"] = pick(f, []string{f.ulid(), f.text(20), strings.ToLower(p["out_trade_no"]), p["out_trade_no"][1:], "%27OR%271"})
			return audit(f.signedBy(f.alipayKey, p))
		}},
		{"a number of another account or tenant, signature good", func(f *forger) attack {
			p := f.payment(f.any())
			others := pick(f, []target{f.stranger[alipay], f.stranger[wechatpay], pick(f, f.targets[wechatpay])})
			p["out_trade_no"], p["total_amount"] = others.number, yuan(others.fen)
			return audit(f.signedBy(f.alipayKey, p))
		}},
		{"a number that cannot be kept, signature good", func(f *forger) attack {
			p := f.payment(f.open())
			p[pick(f, []string{"out_trade_no", "notify_id", "trade_status"})] = pick(f, []string{"", " ", "a b", "x\x00", strings.Repeat("9", 200), "号"})
			return f.signedBy(f.alipayKey, p)
		}},
		{"a refund of nobody's, signature good", func(f *forger) attack {
			p := f.refundOf(f.any())
			p["out_biz_no"] = pick(f, []string{f.ulid(), f.text(20), f.stranger[alipay].number})
			return audit(f.signedBy(f.alipayKey, p))
		}},
		{"a refund of another amount, signature good", func(f *forger) attack {
			t := f.refunded()
			p := f.refundOf(t)
			p["refund_fee"] = pick(f, []string{yuan(t.fen + 1), yuan(599), yuan(t.fen * 100), "0.01", "0.00"})
			return audit(f.signedBy(f.alipayKey, p))
		}},
		{"another kind of message, signature good", func(f *forger) attack {
			p := f.payment(f.open())
			p["notify_type"] = pick(f, []string{"dut_user_sign", "trade_status_sync_x", "", "batch_refund_notify", "open_app_auth_notify"})
			return f.signedBy(f.alipayKey, p)
		}},
	}
}

// audit expects an audit row of what is refused.
func audit(a attack) attack {
	if a.fate == refused {
		a.fate = audited
	}
	return a
}

// payment is a notification that says that t was paid, as Alipay would write it.
func (f *forger) payment(t target) params {
	return params{
		"app_id": f.seed.Alipay.AppID, "auth_app_id": f.seed.Alipay.AppID, "charset": "utf-8", "version": "1.0", "sign_type": "RSA2",
		"notify_id": f.text(34), "notify_type": "trade_status_sync", "notify_time": "2026-03-01 11:22:34",
		"trade_no": "2026" + f.text(24), "out_trade_no": t.number, "seller_id": f.seed.Alipay.SellerID,
		"trade_status": "TRADE_SUCCESS", "total_amount": yuan(t.fen), "subject": "龙井茶 + 100%", "gmt_payment": "2026-03-01 11:22:33",
		"point_amount": "0.00", "buyer_id": "2088" + f.text(12),
	}
}

// refundOf is a notification that says that t was refunded 6.00 yuan.
func (f *forger) refundOf(t target) params {
	p := f.payment(t)
	p["out_biz_no"], p["refund_fee"], p["gmt_refund"] = t.refund, "6.00", "2026-03-01 12:00:01.000"
	return p
}

func yuan(fen int64) string {
	if fen < 0 {
		return "-" + yuan(-fen)
	}
	return fmt.Sprintf("%d.%02d", fen/100, fen%100)
}

// signText joins what the signature covers.
func signText(values url.Values) string {
	var pairs []string
	for name := range values {
		if name != "sign" && name != "sign_type" && name != "alipay_cert_sn" {
			pairs = append(pairs, name+"="+values.Get(name))
		}
	}
	sort.Strings(pairs)
	return strings.Join(pairs, "&")
}

// signedBy is p with a signature by key, sent to our account.
func (f *forger) signedBy(key *rsa.PrivateKey, p params) attack {
	values := url.Values{}
	for name, value := range p {
		values.Set(name, value)
	}
	signature, err := keys.Sign(key, signText(values))
	require.NoError(f, err)
	values.Set("sign", signature)
	return attack{kept: kept{f.open().path, f.true().header, []byte(values.Encode())}}
}

// changed is a true notification with other parameters.
func (f *forger) changed(change func(url.Values)) attack {
	k := f.true()
	values, err := url.ParseQuery(string(k.body))
	require.NoError(f, err)
	change(values)
	k.body = []byte(values.Encode())
	return attack{kept: k}
}

// unlessSame expects no refusal where chance has written a true one in another
// spelling.
func (f *forger) unlessSame(a attack) attack {
	for _, k := range f.genuine[f.provider] {
		if f.provider == wechatpay {
			if string(k.body) == string(a.body) {
				a.fate = repeated
			}
			continue
		}
		was, err := url.ParseQuery(string(k.body))
		require.NoError(f, err)
		is, err := url.ParseQuery(string(a.body))
		if err == nil && maps.EqualFunc(was, is, slices.Equal) {
			a.fate = repeated
		}
	}
	return a
}

// signedNames are the parameters under the signature.
func (f *forger) signedNames(values url.Values) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(values)), func(name string) bool { return name == "sign" || name == "sign_type" })
}

func (f *forger) swappedSignature() attack {
	donor, err := url.ParseQuery(string(pick(f, f.strangers[alipay]).body))
	require.NoError(f, err)
	return f.changed(func(v url.Values) { v.Set("sign", donor.Get("sign")) })
}

func (f *forger) parameterChanged() attack {
	t := f.open()
	return f.changed(func(v url.Values) {
		name := pick(f, f.signedNames(v))
		v.Set(name, v.Get(name)+f.text(1))
		switch f.IntN(4) {
		case 0:
			v.Set("out_trade_no", t.number)
			v.Set("total_amount", yuan(t.fen))
		case 1:
			v.Set("total_amount", yuan(f.wrongFen(t.fen)))
		case 2:
			v.Set("notify_id", f.text(34))
		}
	})
}

// joined puts a parameter that would tell against the attacker into the one
// before it. The signed text, and so the signature, is the same.
func (f *forger) joined() attack {
	p := f.refundOf(f.refunded())
	if f.IntN(2) == 0 { // one that names no refund, such as the merchant's own from Alipay's pages
		delete(p, "out_biz_no")
	}
	p["trans_currency"] = "USD"
	a := f.signedBy(f.alipayKey, p)
	values, err := url.ParseQuery(string(a.body))
	require.NoError(f, err)
	names := f.signedNames(values)
	hide := func(name string) {
		i := slices.Index(names, name)
		values.Set(names[i-1], values.Get(names[i-1])+"&"+name+"="+values.Get(name))
		values.Del(name)
		names = slices.Delete(names, i, i+1)
	}
	hide("trans_currency")
	for _, name := range []string{"gmt_refund", "refund_fee"} {
		hide(name)
	}
	a.body = []byte(values.Encode())
	return a
}

// hidden is an order of the attacker's own shop whose description holds a whole
// notification about ours. Cut into other parameters, Alipay's signature of the
// attacker's order fits.
func (f *forger) hidden() attack {
	inner := url.Values{}
	for name, value := range f.payment(f.open()) {
		if name != "sign_type" && name != "subject" {
			inner.Set(name, value)
		}
	}
	message := signText(inner)
	outer := f.payment(f.open())
	outer["app_id"], outer["auth_app_id"], outer["seller_id"] = "2000"+f.text(12), "2000"+f.text(12), "2088"+f.text(12)
	outer["body"] = "x&" + message + "&zzz="
	whole := url.Values{}
	for name, value := range outer {
		whole.Set(name, value)
	}
	text := signText(whole)
	signature, err := keys.Sign(f.alipayKey, text)
	require.NoError(f, err)
	head, tail, found := strings.Cut(text, "&"+message+"&zzz=")
	require.True(f, found)
	cut := url.Values{"sign": {signature}, "sign_type": {"RSA2"}, "zzz": {tail}}
	for name := range inner {
		cut.Set(name, inner.Get(name))
	}
	equals := strings.LastIndex(head, "=")
	cut.Set(head[:equals], head[equals+1:])
	require.Equal(f, text, signText(cut), "the attacker's cut has the same signed text")
	return attack{kept: kept{f.open().path, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(cut.Encode())}}
}

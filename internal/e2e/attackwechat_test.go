package e2e_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/sandbox/keys"
)

// notice is one of WeChat Pay's notifications before it is sealed and signed.
type notice struct {
	id, event, kind, content string
	// key seals content; nonce and about go with it.
	key, nonce, about string
	algorithm         string
	// spoil changes the sealed bytes, body the whole body, both before signing.
	spoil func([]byte) []byte
	body  func(string) string
	// at is the signed moment.
	at time.Time
}

// wechatClasses are the ways to attack what WeChat Pay sends.
func wechatClasses() []class {
	signed := func(change func(*forger, *notice)) func(*forger) attack {
		return func(f *forger) attack {
			n := f.paidNotice(f.open(), nil)
			change(f, &n)
			return f.sealed(f.keys.WeChatPay, n)
		}
	}
	trade := func(change func(f *forger, content map[string]string)) func(*forger) attack {
		return func(f *forger) attack {
			return f.sealed(f.keys.WeChatPay, f.paidNotice(f.open(), func(c map[string]string) { change(f, c) }))
		}
	}
	header := func(change func(*forger, http.Header)) func(*forger) attack {
		return func(f *forger) attack {
			a := f.sealed(f.keys.WeChatPay, f.paidNotice(f.open(), nil))
			change(f, a.header)
			return a
		}
	}
	return []class{
		{"a header of the signature missing", header(func(f *forger, h http.Header) {
			h.Del("Wechatpay-" + pick(f, []string{"Signature", "Serial", "Timestamp", "Nonce"}))
		})},
		{"signature of random bytes", header(func(f *forger, h http.Header) {
			h.Set("Wechatpay-Signature", base64.StdEncoding.EncodeToString(f.bytes(256)))
		})},
		{"signature of another message", header(func(f *forger, h http.Header) {
			for _, name := range []string{"Signature", "Timestamp", "Nonce"}[:1+f.IntN(3)] {
				h.Set("Wechatpay-"+name, f.true().header.Get("Wechatpay-"+name))
			}
		})},
		{"signed with another key", func(f *forger) attack { return f.sealed(f.foreign, f.paidNotice(f.open(), nil)) }},
		{"a probe", header(func(f *forger, h http.Header) {
			h.Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+pick(f, []string{h.Get("Wechatpay-Signature"), f.text(40), ""}))
		})},
		{"too old or too early", signed(func(f *forger, n *notice) {
			by := time.Duration(302+f.IntN(1_000_000)) * time.Second
			n.at = n.at.Add(pick(f, []time.Duration{by, -by}))
		})},
		{"moment or nonce changed after signing", header(func(f *forger, h http.Header) {
			if f.IntN(2) == 0 {
				h.Set("Wechatpay-Nonce", f.text(32))
				return
			}
			h.Set("Wechatpay-Timestamp", strconv.FormatInt(time.Now().Unix()-1-f.Int64N(250), 10))
		})},
		{"a bit flipped", func(f *forger) attack {
			k := f.true()
			k.body[f.IntN(len(k.body))] ^= 1 << f.IntN(8)
			return attack{kept: k}
		}},
		{"signature type changed", header(func(f *forger, h http.Header) {
			h.Set("Wechatpay-Signature-Type", pick(f, []string{"none", "WECHATPAY2-SM2-WITH-SM3", "WECHATPAY2-SHA1-RSA2048", "MD5", "HMAC-SHA256"}))
		})},
		{"another key's name", header(func(f *forger, h http.Header) {
			h.Set("Wechatpay-Serial", pick(f, []string{"PUB_KEY_ID_" + f.text(28), f.seed.WeChatPay.MerchantSerial, f.text(40), "*"}))
		})},
		{"a header of the signature doubled", header(func(f *forger, h http.Header) {
			name := "Wechatpay-" + pick(f, []string{"Signature", "Serial", "Timestamp", "Nonce"})
			h[name] = append(h[name], pick(f, []string{h.Get(name), f.text(10)}))
		})},
		{"sealed with another key, signature good", signed(func(f *forger, n *notice) { n.key = f.text(32) })},
		{"sealed text changed, signature good", signed(func(f *forger, n *notice) {
			n.spoil = func(sealed []byte) []byte {
				if f.IntN(4) == 0 {
					return sealed[:f.IntN(len(sealed))]
				}
				sealed[f.IntN(len(sealed))] ^= 1 << f.IntN(8)
				return sealed
			}
		})},
		{"sealed about something else, signature good", signed(func(f *forger, n *notice) {
			n.body = func(body string) string {
				return strings.Replace(body, `"associated_data":"transaction"`, `"associated_data":"`+f.text(5)+`"`, 1)
			}
		})},
		{"a nonce of another length, signature good", signed(func(f *forger, n *notice) {
			n.body = func(body string) string {
				return strings.Replace(body, n.nonce, pick(f, []string{"", "short", n.nonce + "0", f.text(11), f.text(24)}), 1)
			}
		})},
		{"another algorithm, signature good", signed(func(f *forger, n *notice) {
			n.algorithm = pick(f, []string{"AES_ECB", "none", "", "AEAD_SM4_GCM", "AES-256-CBC"})
		})},
		{"a key of the body twice, signature good", signed(func(f *forger, n *notice) {
			n.body = func(body string) string {
				name := pick(f, []string{"id", "event_type", "resource", "ciphertext", "nonce"})
				return strings.Replace(body, `"`+name+`":`, `"`+name+`":"`+f.text(3)+`","`+name+`":`, 1)
			}
		})},
		{"another merchant's, signature good", trade(func(f *forger, c map[string]string) {
			c["mchid"] = quote(pick(f, []string{"1900" + f.text(6), "", f.seed.WeChatPay.MchID + "0"}))
		})},
		{"another application's, signature good", trade(func(f *forger, c map[string]string) {
			c["appid"] = quote(pick(f, []string{"wx" + f.text(16), ""}))
		})},
		{"another amount, signature good", func(f *forger) attack {
			t := f.any()
			return audit(f.sealed(f.keys.WeChatPay, f.paidNotice(t, func(c map[string]string) {
				c["amount"] = fmt.Sprintf(`{"total":%d,"currency":"CNY"}`, f.wrongFen(t.fen))
			})))
		}},
		{"an amount that is none, signature good", trade(func(f *forger, c map[string]string) {
			c["amount"] = `{"total":` + pick(f, []string{"0", "-5501", "55.01", `"5501"`, "null", "1e30", "{}", "5501.0001"}) + `,"currency":"CNY"}`
		})},
		{"another currency, signature good", trade(func(f *forger, c map[string]string) {
			c["amount"] = fmt.Sprintf(`{"total":%d,"currency":%q}`, f.open().fen, pick(f, []string{"USD", "HKD", "cny", "CNY "}))
		})},
		{"a number of nobody's, signature good", func(f *forger) attack {
			return audit(f.sealed(f.keys.WeChatPay, f.paidNotice(f.any(), func(c map[string]string) {
				c["out_trade_no"] = quote(pick(f, []string{f.ulid(), f.text(20), strings.ToLower(f.open().number), "%27OR%271"}))
			})))
		}},
		{"a number of another account or tenant, signature good", func(f *forger) attack {
			others := pick(f, []target{f.stranger[alipay], f.stranger[wechatpay], pick(f, f.targets[alipay])})
			return audit(f.sealed(f.keys.WeChatPay, f.paidNotice(others, nil)))
		}},
		{"a number that cannot be kept, signature good", trade(func(f *forger, c map[string]string) {
			c[pick(f, []string{"out_trade_no", "trade_state"})] = pick(f, []string{`""`, `" "`, `"a b"`, `"x\u0000"`,
				quote(strings.Repeat("9", 200)), `"号"`, `null`})
		})},
		{"a refund of nobody's, signature good", func(f *forger) attack {
			t := f.any()
			t.refund = f.ulid()
			return audit(f.sealed(f.keys.WeChatPay, f.refundNotice(t, 600, t.fen)))
		}},
		{"a refund of another amount, signature good", func(f *forger) attack {
			t := f.refunded()
			fen, total := f.wrongFen(600), t.fen
			if f.IntN(2) == 0 {
				fen, total = 600, f.wrongFen(t.fen)
			}
			return audit(f.sealed(f.keys.WeChatPay, f.refundNotice(t, fen, total)))
		}},
		{"a refund said to be a payment, signature good", func(f *forger) attack {
			n := f.refundNotice(f.refunded(), 600, f.refunded().fen)
			if f.IntN(2) == 0 {
				n.event = "TRANSACTION.SUCCESS"
			} else {
				n.kind = "transaction"
			}
			return f.sealed(f.keys.WeChatPay, n)
		}},
		{"another kind of message, signature good", signed(func(f *forger, n *notice) {
			n.event = pick(f, []string{"PAYSCORE.USER_OPEN_SERVICE", "TRANSACTION.CLOSED", "", "transaction.success", "COUPON.USE", "MCHTRANSFER.BILL.FINISHED"})
		})},
	}
}

func quote(text string) string { return `"` + text + `"` }

// paidNotice says that t was paid, as WeChat Pay would write it.
func (f *forger) paidNotice(t target, change func(content map[string]string)) notice {
	content := map[string]string{
		"mchid": quote(f.seed.WeChatPay.MchID), "appid": quote(f.seed.WeChatPay.AppID), "out_trade_no": quote(t.number),
		"transaction_id": quote("42000" + f.text(23)), "trade_state": quote("SUCCESS"), "success_time": quote("2026-03-01T11:22:33+08:00"),
		"amount": fmt.Sprintf(`{"total":%d,"payer_total":%d,"currency":"CNY","payer_currency":"CNY"}`, t.fen, t.fen),
	}
	if change != nil {
		change(content)
	}
	return f.noticeOf("TRANSACTION.SUCCESS", "transaction", content)
}

// refundNotice says that fen of t were given back.
func (f *forger) refundNotice(t target, fen, total int64) notice {
	return f.noticeOf("REFUND.SUCCESS", "refund", map[string]string{
		"mchid": quote(f.seed.WeChatPay.MchID), "out_trade_no": quote(t.number), "out_refund_no": quote(t.refund),
		"refund_id": quote("50000" + f.text(24)), "refund_status": quote("SUCCESS"),
		"amount": fmt.Sprintf(`{"total":%d,"refund":%d,"payer_total":%d,"payer_refund":%d}`, total, fen, total, fen),
	})
}

func (f *forger) noticeOf(event, kind string, content map[string]string) notice {
	var fields []string
	for name, value := range content {
		fields = append(fields, quote(name)+":"+value)
	}
	return notice{id: f.text(36), event: event, kind: kind, content: "{" + strings.Join(fields, ",") + "}", key: f.apiV3Key,
		nonce: f.text(12), about: kind, algorithm: "AEAD_AES_256_GCM", at: time.Now()}
}

// sealed is n as it would arrive, signed by key, at our account.
func (f *forger) sealed(key *rsa.PrivateKey, n notice) attack {
	block, err := aes.NewCipher([]byte(n.key))
	require.NoError(f, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(f, err)
	hidden := gcm.Seal(nil, []byte(n.nonce), []byte(n.content), []byte(n.about))
	if n.spoil != nil {
		hidden = n.spoil(hidden)
	}
	body := fmt.Sprintf(`{"id":%q,"create_time":"2026-03-01T11:22:34+08:00","event_type":%q,"resource_type":"encrypt-resource","summary":"支付成功",`+
		`"resource":{"original_type":%q,"algorithm":%q,"ciphertext":%q,"associated_data":%q,"nonce":%q}}`,
		n.id, n.event, n.kind, n.algorithm, base64.StdEncoding.EncodeToString(hidden), n.about, n.nonce)
	if n.body != nil {
		body = n.body(body)
	}
	at, nonce := strconv.FormatInt(n.at.Unix(), 10), f.text(32)
	signature, err := keys.Sign(key, at+"\n"+nonce+"\n"+body+"\n")
	require.NoError(f, err)
	header := http.Header{"Content-Type": {"application/json"}}
	for name, value := range map[string]string{"Timestamp": at, "Nonce": nonce, "Serial": f.keys.PublicKeyID, "Signature": signature} {
		header.Set("Wechatpay-"+name, value)
	}
	return attack{kept: kept{f.open().path, header, []byte(body)}}
}

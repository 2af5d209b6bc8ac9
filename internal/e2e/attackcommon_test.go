package e2e_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"
)

// commonClasses need no provider's grammar.
func commonClasses() []class {
	return []class{
		{"a true one again", func(f *forger) attack { return attack{kept: f.true(), fate: repeated} }},
		{"cut off or longer", (*forger).otherLength},
		{"to another account's address", (*forger).misdirected},
		{"another tenant's, to our address", func(f *forger) attack {
			k := pick(f, f.strangers[f.provider])
			return attack{kept: kept{f.open().path, k.header, k.body}}
		}},
		{"XML, JSON and noise", (*forger).otherLanguage},
		{"another method", func(f *forger) attack {
			k := f.true()
			method := pick(f, []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead})
			if f.IntN(2) == 0 { // what the body said, in the address
				k.path, k.body = k.path+"?"+strings.ReplaceAll(string(k.body), " ", "%20"), nil
				if f.provider == wechatpay {
					k.path, _, _ = strings.Cut(k.path, "?")
				}
			}
			return attack{kept: k, method: method}
		}},
	}
}

func pick[T any](f *forger, from []T) T { return from[f.IntN(len(from))] }

// true is a true notification as the attacker overheard it, in the attacker's
// own copy.
func (f *forger) true() kept {
	k := pick(f, f.genuine[f.provider])
	return kept{k.path, k.header.Clone(), bytes.Clone(k.body)}
}

// open is the trade that waits for its payer, which attackers want to be paid.
func (f *forger) open() target { return f.targets[f.provider][3] }

// any is any trade of ours.
func (f *forger) any() target { return pick(f, f.targets[f.provider]) }

// refunded is the trade with a refund.
func (f *forger) refunded() target { return f.targets[f.provider][2] }

// bytes draws n of them.
func (f *forger) bytes(n int) []byte {
	drawn := make([]byte, n)
	for i := range drawn {
		drawn[i] = byte(f.Uint32())
	}
	return drawn
}

// text draws n letters and digits.
func (f *forger) text(n int) string {
	const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
	drawn := make([]byte, n)
	for i := range drawn {
		drawn[i] = alphabet[f.IntN(len(alphabet))]
	}
	return string(drawn)
}

// ulid draws a number that nobody has.
func (f *forger) ulid() string {
	var id ulid.ULID
	copy(id[:], f.bytes(len(id)))
	id[0] &= 0x7f
	return id.String()
}

// wrongFen draws an amount that is not fen.
func (f *forger) wrongFen(fen int64) int64 {
	wrong := pick(f, []int64{1, fen - 1, fen + 1, fen * 10, fen * 100, fen / 10, 1 + f.Int64N(10_000_000_000)})
	if wrong == fen {
		return 1
	}
	return wrong
}

func (f *forger) otherLength() attack {
	k := f.true()
	if f.IntN(2) == 0 {
		k.body = k.body[:f.IntN(len(k.body))]
	} else {
		k.body = slices.Concat(k.body, pick(f, [][]byte{k.body, {0}, []byte("&x=1"), []byte("\n{}"), []byte("&"), f.bytes(1 + f.IntN(64))}))
	}
	return f.unlessSame(attack{kept: k})
}

// misdirected sends a true one where it does not belong.
func (f *forger) misdirected() attack {
	k := f.true()
	own := k.path
	for k.path == own {
		account := pick(f, append(slices.Clone(f.accounts), "chn_"+f.ulid(), f.text(30), "%2e%2e", "chn_%00", f.open().number))
		k.path = "/notify/" + pick(f, []string{alipay, wechatpay, "unionpay", "ALIPAY"}) + "/" + account
	}
	return attack{kept: k}
}

// otherLanguage is nothing a provider writes; nobody must parse it, let alone
// expand or fetch what it names.
func (f *forger) otherLanguage() attack {
	k := f.true()
	laughs := `<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "lol">`
	for c := 'b'; c < 'k'; c++ {
		laughs += `<!ENTITY ` + string(c) + ` "` + strings.Repeat("&"+string(c-1)+";", 10) + `">`
	}
	k.body = pick(f, [][]byte{
		[]byte(`<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><out_trade_no>&a;</out_trade_no></xml>`),
		[]byte(`<?xml version="1.0"?><!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1/x"> %a;]><xml/>`),
		[]byte(laughs + `]><xml><sign>&j;</sign></xml>`),
		[]byte(`<xml><return_code>SUCCESS</return_code><out_trade_no>` + f.open().number + `</out_trade_no></xml>`),
		[]byte(`{"out_trade_no":"` + f.open().number + `","trade_status":"TRADE_SUCCESS"}`),
		[]byte(strings.Repeat(`{"a":`, 5000)), []byte(strings.Repeat("a=1&", 15000)), []byte(strings.Repeat("[", 60000)),
		f.bytes(1 + f.IntN(2000)), nil,
	})
	k.header.Set("Content-Type", pick(f, []string{"text/xml", "application/xml", "application/json", "multipart/form-data; boundary=x", ""}))
	return attack{kept: k}
}

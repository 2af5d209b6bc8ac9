package control

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/suanpan/suanpan/sandbox/books"
)

type payerCode struct {
	Provider string `json:"provider"`
	Code     string `json:"code"`
	Outcome  string `json:"outcome"`
	PayerID  string `json:"payer_id"`
}

// addCode puts a code on a payer's phone and says what comes of scanning it:
// "pay" (the default), "confirm", or the provider's code of a refusal. Without
// code a new one is made.
func (a *api) addCode(r *http.Request) (any, error) {
	in, err := read[payerCode](r)
	if err != nil {
		return nil, err
	}
	p, err := provider(in.Provider)
	if err != nil {
		return nil, err
	}
	if in.Code == "" {
		// Alipay's begin with 25 to 30, WeChat Pay's with 10 to 15; both have 18 digits.
		first := map[books.Provider]int{books.Alipay: 28, books.WeChatPay: 13}[p]
		in.Code = fmt.Sprintf("%d%016d", first, rand.Int64N(10_000_000_000_000_000))
	}
	if strings.Trim(in.Code, "0123456789") != "" {
		return nil, bad("code must be digits")
	}
	if in.Outcome == "" {
		in.Outcome = "pay"
	}
	code := books.Code{Provider: p, Code: in.Code, Outcome: in.Outcome, PayerID: in.PayerID}
	err = a.Books.Update("code_registered", func(tx *books.Tx) error {
		if known, ok := tx.Code(p, in.Code); ok && known.UsedBy != "" {
			return &failure{http.StatusConflict, fmt.Errorf("code %s was used", in.Code)}
		}
		tx.PutCode(code)
		return nil
	})
	return map[string]string{"auth_code": in.Code, "outcome": in.Outcome}, err
}

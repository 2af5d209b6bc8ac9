package wechatpay

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1" // #nosec G505 -- the provider's bill digest is SHA-1
	"encoding/hex"
	"net/http"
	"time"

	"github.com/suanpan/suanpan/sandbox/bill"
	"github.com/suanpan/suanpan/sandbox/books"
)

const (
	// billReady is when the bill of a day can be had: ten o'clock of the next day.
	billReady = 10 * time.Hour
	// billMonths is how far back bills go.
	billMonths = 3
	// downloadBase is the real host: a client redirects it as any other call.
	downloadBase = "https://api.mch.weixin.qq.com/v3/billdownload/file?token="
)

// tradeBill is GET /v3/bill/tradebill.
func (g *Gateway) tradeBill(c call, _ string) (answer, error) {
	kind := c.http.URL.Query().Get("bill_type")
	if kind == "" {
		kind = bill.TradeAll
	}
	if kind != bill.TradeAll && kind != bill.TradeSuccess && kind != bill.TradeRefund {
		return answer{}, paramError("bill_type须为ALL、SUCCESS或REFUND")
	}
	owner, err := g.refundOwner(c, c.http.URL.Query().Get("sub_mchid"))
	if err != nil {
		return answer{}, err
	}
	return g.bill(c, func(r books.Reader, date string) (bill.File, bool, error) {
		return bill.WeChatTrade(r, owner, date, kind, g.Zone)
	})
}

// fundFlowBill is GET /v3/bill/fundflowbill: the movements of the basic account,
// or of the one for operations or for fees.
func (g *Gateway) fundFlowBill(c call, _ string) (answer, error) {
	account := c.http.URL.Query().Get("account_type")
	ledger := c.merchant.Account
	switch account {
	case "", "BASIC":
	case "OPERATION", "FEES":
		ledger += "/" + account
	default:
		return answer{}, paramError("account_type须为BASIC、OPERATION或FEES")
	}
	if c.http.URL.Query().Get("sub_mchid") != "" {
		return answer{}, forbidden("NO_AUTH", "资金账单不支持sub_mchid")
	}
	return g.bill(c, func(r books.Reader, date string) (bill.File, bool, error) {
		return bill.WeChatFundFlow(r, c.merchant, ledger, date, g.Zone)
	})
}

type billAnswer struct {
	HashType    string `json:"hash_type"`
	HashValue   string `json:"hash_value"`
	DownloadURL string `json:"download_url"`
}

func (g *Gateway) bill(c call, makeFile func(books.Reader, string) (bill.File, bool, error)) (answer, error) {
	query := c.http.URL.Query()
	packed := query.Get("tar_type")
	if packed != "" && packed != "GZIP" {
		return answer{}, paramError("tar_type须为GZIP")
	}
	date := query.Get("bill_date")
	day, err := time.ParseInLocation(time.DateOnly, date, g.Zone)
	if err != nil {
		return answer{}, paramError("bill_date格式须为yyyy-MM-dd")
	}
	var file bill.File
	err = g.Books.View(func(r books.Reader) error {
		if err := g.checkDay(day, r.Now()); err != nil {
			return err
		}
		made, ok, err := makeFile(r, date)
		if err == nil && !ok {
			return &problem{status: http.StatusBadRequest, code: "NO_STATEMENT_EXIST", message: "请求的账单文件不存在"}
		}
		file = made
		return err
	})
	if err != nil {
		return answer{}, err
	}
	// The digest is of the file as it is before packing.
	digest := sha1.Sum(file.Content) // #nosec G401 -- the provider's bill digest is SHA-1
	if packed == "GZIP" {
		if file.Content, err = gzipped(file.Content); err != nil {
			return answer{}, err
		}
	}
	file.Owner = c.merchant.ID // who may fetch it, also when it is a sub-merchant's
	token := g.Bills.Put(file, bill.WeChatPayLifetime)
	return answer{status: http.StatusOK, json: billAnswer{
		HashType: "SHA1", HashValue: hex.EncodeToString(digest[:]), DownloadURL: downloadBase + token,
	}}, nil
}

func (g *Gateway) checkDay(day, now time.Time) error {
	switch {
	case day.After(now):
		return badRequest("bill_date不能晚于当前日期")
	case now.Before(day.AddDate(0, 0, 1).Add(billReady)):
		return &problem{status: http.StatusBadRequest, code: "STATEMENT_CREATING", message: "账单生成中"}
	case day.Before(now.AddDate(0, -billMonths, -1)):
		return badRequest("只能下载三个月以内的账单")
	}
	return nil
}

func gzipped(content []byte) ([]byte, error) {
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	if _, err := writer.Write(content); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// downloadBill is GET /v3/billdownload/file: signed request, unsigned answer.
func (g *Gateway) downloadBill(c call, _ string) (answer, error) {
	file, ok := g.Bills.Get(c.http.URL.Query().Get("token"))
	if !ok || file.Owner != c.merchant.ID {
		return answer{}, badRequest("下载链接无效或已过期")
	}
	return answer{status: http.StatusOK, file: &file}, nil
}

package alipay

import (
	"net/http"
	"time"

	"github.com/suanpan/suanpan/sandbox/bill"
	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/faults"
)

// billReady is when the bill of a day can be had: nine o'clock of the next day.
const billReady = 9 * time.Hour

// OperationDownload is the name of the bill download for fault rules.
const OperationDownload = "GET /alipay/bill/download"

type billFields struct {
	BillType string `json:"bill_type"`
	BillDate string `json:"bill_date"`
}

// billURL is alipay.data.dataservice.bill.downloadurl.query. A day without
// trades has a bill without lines.
func (g *Gateway) billURL(call request) (*node, error) {
	var in billFields
	if err := decode(call, &in); err != nil {
		return nil, err
	}
	if in.BillType != "trade" && in.BillType != "signcustomer" {
		return nil, invalid("isv.invalid-parameter", "bill_type须为trade或signcustomer")
	}
	day, err := time.ParseInLocation(time.DateOnly, in.BillDate, g.zone)
	if err != nil {
		return nil, invalid("isv.invalid-parameter", "bill_date格式须为yyyy-MM-dd")
	}
	var file bill.File
	err = g.books.View(func(r books.Reader) error {
		if r.Now().Before(day.AddDate(0, 0, 1).Add(billReady)) {
			return failed("isp.bill_not_exist", "账单不存在")
		}
		file, err = g.makeBill(r, call.merchant, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	token := g.Bills.Put(file, bill.AlipayLifetime)
	return success().set("bill_download_url", g.PublicURL+"/alipay/bill/download?downloadFileName="+
		call.merchant.Account+"&token="+token), nil
}

func (g *Gateway) makeBill(r books.Reader, m books.Merchant, in billFields) (bill.File, error) {
	if in.BillType == "trade" {
		return bill.AlipayTrade(r, m, in.BillDate, g.zone)
	}
	return bill.AlipayAccountLog(r, m, in.BillDate, g.zone)
}

// DownloadBill serves a bill file by its token, unsigned, while the token lives.
func (g *Gateway) DownloadBill(w http.ResponseWriter, r *http.Request) {
	file, ok := g.Bills.Get(r.URL.Query().Get("token"))
	if !ok {
		http.Error(w, "下载链接已失效", http.StatusForbidden)
		return
	}
	fault := g.Faults.Take(string(books.Alipay), OperationDownload, []string{file.Date})
	fault.Serve(w, r, faults.Answers{
		Work: func() faults.Reply {
			return faults.Reply{Status: http.StatusOK, Body: file.Content, Header: http.Header{
				"Content-Type":        {"application/zip"},
				"Content-Disposition": {`attachment; filename="` + file.Name + `"`},
			}}
		},
		SystemError: func(string) faults.Reply {
			return faults.Reply{Status: http.StatusInternalServerError, Body: []byte("system error")}
		},
		Forge: func(reply faults.Reply) faults.Reply { return reply },
	})
}

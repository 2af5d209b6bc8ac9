package alipay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
)

// downloadPatience is how many times longer than one call the download of a
// bill may take: the file can be hundreds of megabytes.
const downloadPatience = 20

// FetchTradeBill implements channel.Biller with the bill of type trade. Alipay
// prints no digest; the footer's totals, the account and the day in the file's
// head are what is checked.
func (a *Adapter) FetchTradeBill(ctx context.Context, date string) (channel.BillResult, error) {
	raw, answer, state, err := a.fetch(ctx, "trade", date)
	if err != nil || state != channel.BillReady {
		return channel.BillResult{Answer: answer, State: state}, err
	}
	bill, err := ParseBill(raw, date, a.sellerID)
	if err != nil {
		return channel.BillResult{}, err
	}
	bill.Raw, bill.SHA256 = raw, digest(raw)
	if len(bill.Lines) == 0 {
		state = channel.BillEmpty
	}
	return channel.BillResult{Answer: answer, State: state, Bill: bill}, nil
}

// FetchFundBill implements channel.FundBiller with the bill of type signcustomer,
// the journal of the account (账务明细).
func (a *Adapter) FetchFundBill(ctx context.Context, date string) (channel.FundBillResult, error) {
	raw, answer, state, err := a.fetch(ctx, "signcustomer", date)
	if err != nil || state != channel.BillReady {
		return channel.FundBillResult{Answer: answer, State: state}, err
	}
	bill, err := ParseFundBill(raw, date, a.sellerID)
	if err != nil {
		return channel.FundBillResult{}, err
	}
	bill.Raw, bill.SHA256 = raw, digest(raw)
	if len(bill.Lines) == 0 {
		state = channel.BillEmpty
	}
	return channel.FundBillResult{Answer: answer, State: state, Bill: bill}, nil
}

// fetch asks for the address of a day's bill, which is valid for 30 seconds, and
// gets the zip with a plain GET.
func (a *Adapter) fetch(ctx context.Context, kind, date string) (raw []byte, answer channel.Answer, state channel.BillState, err error) {
	if err := wire.CheckDate("date", date); err != nil {
		return nil, channel.Answer{}, "", err
	}
	var out struct {
		reply
		URL string `json:"bill_download_url"`
	}
	failure, err := a.call(ctx, "alipay.data.dataservice.bill.downloadurl.query", "", fields{
		"bill_type": kind, "bill_date": date,
	}, &out)
	switch {
	case err != nil:
		return nil, channel.Answer{}, "", err
	case failure != nil:
		return nil, unusable(failure), channel.BillUnknown, nil
	case out.Code != codeOK:
		answer := a.refusal(billURL, out.reply)
		return nil, answer, billState(answer.Outcome), nil
	}
	if raw, failure = a.download(ctx, out.URL); failure != nil {
		return nil, unusable(failure), channel.BillUnknown, nil
	}
	return raw, accepted(out.reply), channel.BillReady, nil
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

func billState(outcome channel.Outcome) channel.BillState {
	switch outcome {
	case channel.Pending:
		return channel.BillNotReady
	case channel.Failed:
		return channel.BillRefused
	}
	return channel.BillUnknown
}

// download fetches the file. The address came in a signed answer, so its host
// is Alipay's to choose; a redirect is still not followed.
func (a *Adapter) download(ctx context.Context, address string) ([]byte, *wire.Failure) {
	target, err := url.Parse(address)
	if err != nil || (target.Scheme != "https" && target.Scheme != "http") || target.Host == "" {
		return nil, &wire.Failure{Code: channel.CodeBadBody, Reason: "bill_download_url is not an http(s) address"}
	}
	ctx, cancel := context.WithTimeout(ctx, downloadPatience*a.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, &wire.Failure{Code: channel.CodeBadBody, Reason: "bill_download_url is not an http(s) address"}
	}
	response, err := a.files.Do(request)
	if err != nil {
		return nil, wire.AsFailure(err)
	}
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, &wire.Failure{Code: channel.CodeNoAnswer, Reason: fmt.Sprintf("the bill broke off after %d bytes", len(raw))}
	}
	return raw, nil
}

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

// FetchTradeBill implements channel.Biller: it asks for the address of the
// day's trade bill, which is valid for 30 seconds, fetches the zip with a plain
// GET and parses it. Alipay prints no digest; the footer's totals, the account
// and the day in the file's head are what is checked.
func (a *Adapter) FetchTradeBill(ctx context.Context, date string) (channel.BillResult, error) {
	if err := wire.CheckDate("date", date); err != nil {
		return channel.BillResult{}, err
	}
	var out struct {
		reply
		URL string `json:"bill_download_url"`
	}
	failure, err := a.call(ctx, "alipay.data.dataservice.bill.downloadurl.query", "", fields{
		"bill_type": "trade", "bill_date": date,
	}, &out)
	switch {
	case err != nil:
		return channel.BillResult{}, err
	case failure != nil:
		return channel.BillResult{Answer: unusable(failure), State: channel.BillUnknown}, nil
	case out.Code != codeOK:
		answer := a.refusal(billURL, out.reply)
		return channel.BillResult{Answer: answer, State: billState(answer.Outcome)}, nil
	}
	raw, failure := a.download(ctx, out.URL)
	if failure != nil {
		return channel.BillResult{Answer: unusable(failure), State: channel.BillUnknown}, nil
	}
	bill, err := ParseBill(raw, date, a.sellerID)
	if err != nil {
		return channel.BillResult{}, err
	}
	digest := sha256.Sum256(raw)
	bill.Raw, bill.SHA256 = raw, hex.EncodeToString(digest[:])
	state := channel.BillReady
	if len(bill.Lines) == 0 {
		state = channel.BillEmpty
	}
	return channel.BillResult{Answer: accepted(out.reply), State: state, Bill: bill}, nil
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

package wechatpay

import (
	"context"
	"crypto/sha1" //nolint:gosec // WeChat prints SHA-1; the evidence digest kept is SHA-256
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
)

// downloadPatience is how many times longer than one call the download of a
// bill may take: the file can be hundreds of megabytes.
const downloadPatience = 20

// FetchTradeBill implements channel.Biller: it asks for the address and the
// digest of the day's ALL bill in a signed answer, fetches the uncompressed
// file with a signed GET (whose answer is not signed), compares the digest and
// parses it. "No bill exists" means a day without trades.
func (a *Adapter) FetchTradeBill(ctx context.Context, date string) (channel.BillResult, error) {
	query := url.Values{"bill_date": {date}, "bill_type": {"ALL"}}
	if a.partner() {
		query.Set("sub_mchid", a.subMchID)
	}
	file, err := a.fetchFile(ctx, "/v3/bill/tradebill", query)
	if err != nil || file.state != channel.BillReady {
		return channel.BillResult{Answer: file.answer, State: file.state, Bill: channel.Bill{Date: date}}, err
	}
	bill, err := parseBill(file.raw, date, a.mchID, a.subMchID)
	if err != nil {
		return channel.BillResult{}, err
	}
	bill.Raw, bill.SHA256 = file.raw, file.digest
	if len(bill.Lines) == 0 {
		file.state = channel.BillEmpty
	}
	return channel.BillResult{Answer: file.answer, State: file.state, Bill: bill}, nil
}

// FetchFundBill implements channel.FundBiller with the fund flow of the basic
// account, through which payments, refunds and fees go. A service provider
// cannot have that of a sub-merchant.
func (a *Adapter) FetchFundBill(ctx context.Context, date string) (channel.FundBillResult, error) {
	if a.partner() {
		answer := channel.Answer{Outcome: channel.Failed, Code: "NO_AUTH", Message: "WeChat Pay gives a sub-merchant's fund flow only to itself"}
		return channel.FundBillResult{Answer: answer, State: channel.BillRefused}, wire.CheckDate("date", date)
	}
	file, err := a.fetchFile(ctx, "/v3/bill/fundflowbill", url.Values{"bill_date": {date}, "account_type": {"BASIC"}})
	if err != nil || file.state != channel.BillReady {
		return channel.FundBillResult{Answer: file.answer, State: file.state, Bill: channel.FundBill{Date: date}}, err
	}
	bill, err := ParseFundBill(file.raw, date)
	if err != nil {
		return channel.FundBillResult{}, err
	}
	bill.Raw, bill.SHA256 = file.raw, file.digest
	if len(bill.Lines) == 0 {
		file.state = channel.BillEmpty
	}
	return channel.FundBillResult{Answer: file.answer, State: file.state, Bill: bill}, nil
}

// billDownload is a file as downloaded and checked, or why there is none.
type billDownload struct {
	answer channel.Answer
	state  channel.BillState
	raw    []byte
	// digest is the SHA-256 kept as evidence, in hex.
	digest string
}

// fetchFile asks for a file by its day and downloads it.
func (a *Adapter) fetchFile(ctx context.Context, path string, query url.Values) (billDownload, error) {
	date := query.Get("bill_date")
	if err := wire.CheckDate("date", date); err != nil {
		return billDownload{}, err
	}
	var out struct {
		HashType  string `json:"hash_type"`
		HashValue string `json:"hash_value"`
		URL       string `json:"download_url"`
	}
	refused, err := a.get(ctx, path+"?"+query.Encode(), &out)
	if err != nil {
		return billDownload{}, err
	}
	if refused != nil {
		answer := a.judge(billURL, refused)
		return billDownload{answer: answer, state: billState(answer.Outcome)}, nil
	}
	if out.HashType != "SHA1" || len(out.HashValue) != 2*sha1.Size {
		return billDownload{answer: badBody("hash_type or hash_value"), state: channel.BillUnknown}, nil
	}
	raw, answer := a.download(ctx, out.URL)
	if answer.Outcome != channel.Succeeded {
		return billDownload{answer: answer, state: channel.BillUnknown}, nil
	}
	printed := sha1.Sum(raw)
	if !strings.EqualFold(hex.EncodeToString(printed[:]), out.HashValue) {
		return billDownload{}, fmt.Errorf("wechatpay bill %s: the file of %d bytes does not have the digest WeChat printed", date, len(raw))
	}
	digest := sha256.Sum256(raw)
	return billDownload{answer: answer, state: channel.BillReady, raw: raw, digest: hex.EncodeToString(digest[:])}, nil
}

func billState(outcome channel.Outcome) channel.BillState {
	switch outcome {
	case channel.Succeeded:
		return channel.BillEmpty
	case channel.Pending:
		return channel.BillNotReady
	case channel.Failed:
		return channel.BillRefused
	}
	return channel.BillUnknown
}

// download fetches the file at address, which is used as printed: only the
// server's own address is exchanged for the canonical one that is signed. An
// address at any other server is refused, because the request carries our
// Authorization header.
func (a *Adapter) download(ctx context.Context, address string) ([]byte, channel.Answer) {
	rest, ok := strings.CutPrefix(address, a.base.String()+"/")
	if !ok {
		rest, ok = strings.CutPrefix(address, consts.WechatPayAPIServer+"/")
	}
	if !ok {
		return nil, mismatch("the server of download_url")
	}
	ctx, cancel := context.WithTimeout(ctx, downloadPatience*a.timeout)
	defer cancel()
	result, err := a.files.Get(ctx, consts.WechatPayAPIServer+"/"+rest)
	if err != nil {
		refused := whyRefused(err)
		return nil, channel.Answer{Outcome: channel.Unknown, Code: refused.code, Message: refused.message}
	}
	raw, err := io.ReadAll(result.Response.Body)
	if err != nil {
		return nil, badBody("the bill")
	}
	return raw, accepted("OK")
}

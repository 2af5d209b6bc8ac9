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
	if err := wire.CheckDate("date", date); err != nil {
		return channel.BillResult{}, err
	}
	var out struct {
		HashType  string `json:"hash_type"`
		HashValue string `json:"hash_value"`
		URL       string `json:"download_url"`
	}
	refused, err := a.get(ctx, "/v3/bill/tradebill?"+url.Values{"bill_date": {date}, "bill_type": {"ALL"}}.Encode(), &out)
	if err != nil {
		return channel.BillResult{}, err
	}
	if refused != nil {
		answer := a.judge(billURL, refused)
		return channel.BillResult{Answer: answer, State: billState(answer.Outcome), Bill: channel.Bill{Date: date}}, nil
	}
	if out.HashType != "SHA1" || len(out.HashValue) != 2*sha1.Size {
		return channel.BillResult{Answer: badBody("hash_type or hash_value"), State: channel.BillUnknown}, nil
	}
	raw, answer := a.download(ctx, out.URL)
	if answer.Outcome != channel.Succeeded {
		return channel.BillResult{Answer: answer, State: channel.BillUnknown}, nil
	}
	printed := sha1.Sum(raw)
	if !strings.EqualFold(hex.EncodeToString(printed[:]), out.HashValue) {
		return channel.BillResult{}, fmt.Errorf("wechatpay bill %s: the file of %d bytes does not have the digest WeChat printed", date, len(raw))
	}
	bill, err := ParseBill(raw, date, a.mchID)
	if err != nil {
		return channel.BillResult{}, err
	}
	digest := sha256.Sum256(raw)
	bill.Raw, bill.SHA256 = raw, hex.EncodeToString(digest[:])
	state := channel.BillReady
	if len(bill.Lines) == 0 {
		state = channel.BillEmpty
	}
	return channel.BillResult{Answer: answer, State: state, Bill: bill}, nil
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

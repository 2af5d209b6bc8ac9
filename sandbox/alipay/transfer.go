package alipay

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/yuan"
)

const (
	toAccount  = "TRANS_ACCOUNT_NO_PWD"
	toBankCard = "TRANS_BANKCARD_NO_PWD"
	redPacket  = "STD_RED_PACKET"
)

// remarkThreshold is the amount, in fen, from which a transfer needs a remark.
const remarkThreshold = 50_000_00

// nobody is the logon id that belongs to no one.
const nobody = "nobody@example.com"

var (
	outBizNo = regexp.MustCompile(`^[0-9A-Za-z_\-]{1,64}$`)
	userID   = regexp.MustCompile(`^2088[0-9]{12}$`)
	logonID  = regexp.MustCompile(`^(1[0-9]{10}|[^@\s]+@[^@\s]+\.[^@\s]+)$`)
	cardID   = regexp.MustCompile(`^[0-9]{8,30}$`)
)

type payeeFields struct {
	Identity     string `json:"identity"`
	IdentityType string `json:"identity_type"`
	Name         string `json:"name"`
}

type transferFields struct {
	OutBizNo    string       `json:"out_biz_no"`
	TransAmount string       `json:"trans_amount"`
	ProductCode string       `json:"product_code"`
	BizScene    string       `json:"biz_scene"`
	OrderTitle  string       `json:"order_title"`
	PayeeInfo   *payeeFields `json:"payee_info"`
	Remark      string       `json:"remark"`
}

func refusedTransfer(format string, args ...any) *refusal {
	return failed("INVALID_PARAMETER", "参数有误："+fmt.Sprintf(format, args...))
}

// transfer is alipay.fund.trans.uni.transfer. The same out_biz_no with the same
// parameters answers what the first call did; with others it is refused.
func (g *Gateway) transfer(call request) (*node, error) {
	var in transferFields
	if err := decode(call, &in); err != nil {
		return nil, err
	}
	amount, err := checkTransfer(in)
	if err != nil {
		return nil, err
	}
	var done books.Transfer
	err = g.books.Update("transfer", func(tx *books.Tx) error {
		fingerprint := books.Fingerprint(strconv.FormatInt(amount, 10), in.ProductCode, in.BizScene, in.OrderTitle,
			in.PayeeInfo.Identity, in.PayeeInfo.IdentityType, in.PayeeInfo.Name, in.Remark)
		if known, exists := tx.Transfer(books.Alipay, call.merchant.ID, in.OutBizNo); exists {
			if known.Fingerprint != fingerprint {
				return failed("PAYMENT_INFO_INCONSISTENCY", "同一商户订单号的两次请求参数不一致")
			}
			done = known
			return nil
		}
		if err := refusesPayee(tx, *in.PayeeInfo); err != nil {
			return err
		}
		if tx.Balance(books.Alipay, call.merchant.Account) < amount {
			return failed("PAYER_BALANCE_NOT_ENOUGH", "付款方余额不足")
		}
		done = g.newTransfer(tx, call, in, amount, fingerprint)
		if _, err := tx.Move(movementOf(done, books.MovementTransfer, -amount)); err != nil {
			return err
		}
		tx.PutTransfer(done)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return success().
		set("order_id", done.ProviderNo).
		set("out_biz_no", done.Number).
		set("pay_fund_order_id", done.FundNo).
		set("status", string(done.State)).
		set("trans_date", g.format(done.CreatedAt)), nil
}

func checkTransfer(in transferFields) (int64, error) {
	if !outBizNo.MatchString(in.OutBizNo) {
		return 0, refusedTransfer("out_biz_no须为1至64位字母、数字、下划线、连字符")
	}
	if !slices.Contains([]string{toAccount, toBankCard, redPacket}, in.ProductCode) {
		return 0, refusedTransfer("product_code")
	}
	if in.BizScene != "DIRECT_TRANSFER" {
		return 0, refusedTransfer("biz_scene须为DIRECT_TRANSFER")
	}
	amount, err := yuan.Parse(in.TransAmount)
	if err != nil || amount < 1 || amount > largestAmount {
		return 0, refusedTransfer("trans_amount须为至多两位小数的金额")
	}
	if in.ProductCode != redPacket && amount < 10 {
		return 0, failed("EXCEED_LIMIT_SM_MIN_AMOUNT", "最低转账金额0.1元")
	}
	if in.OrderTitle == "" || checkText("order_title", in.OrderTitle, true, 128) != nil {
		return 0, refusedTransfer("order_title须为1至128个字符")
	}
	if amount >= remarkThreshold && in.Remark == "" {
		return 0, failed("MEMO_REQUIRED_IN_TRANSFER_ERROR", "单笔转账额度大于等于50000元时，必须填写备注")
	}
	return amount, checkPayee(in)
}

func checkPayee(in transferFields) error {
	if in.PayeeInfo == nil || in.PayeeInfo.Identity == "" {
		return refusedTransfer("payee_info.identity不能为空")
	}
	p := *in.PayeeInfo
	switch p.IdentityType {
	case "ALIPAY_USER_ID":
		if !userID.MatchString(p.Identity) {
			return failed("PAYEE_NOT_EXIST", "收款账号不存在")
		}
	case "ALIPAY_LOGON_ID":
		if !logonID.MatchString(p.Identity) {
			return failed("PAYEE_NOT_EXIST", "收款账号不存在")
		}
		if p.Name == "" {
			return refusedTransfer("identity_type为ALIPAY_LOGON_ID时payee_info.name必填")
		}
	case "BANKCARD_ACCOUNT":
		if in.ProductCode != toBankCard || p.Name == "" {
			return refusedTransfer("银行卡收款须用TRANS_BANKCARD_NO_PWD并填写payee_info.name")
		}
		if !cardID.MatchString(p.Identity) {
			return failed("INVALID_CARDNO", "无效的支付卡号")
		}
	default:
		return refusedTransfer("payee_info.identity_type")
	}
	if in.ProductCode == toBankCard && p.IdentityType != "BANKCARD_ACCOUNT" {
		return refusedTransfer("TRANS_BANKCARD_NO_PWD须用BANKCARD_ACCOUNT")
	}
	return nil
}

// refusesPayee asks what /control/alipay/payees registered. A payee nobody
// registered exists and bears the name that the transfer gives.
func refusesPayee(tx *books.Tx, p payeeFields) error {
	known, ok := tx.Payee(p.Identity)
	switch {
	case p.Identity == nobody:
		return failed("PAYEE_NOT_EXIST", "收款账号不存在")
	case ok && known.Problem != "":
		return failed(known.Problem, "收款方异常")
	case ok && known.Name != "" && p.Name != "" && known.Name != p.Name:
		return failed("PAYEE_USER_INFO_ERROR", "支付宝账号和姓名不匹配，请确认姓名是否正确")
	}
	return nil
}

func (g *Gateway) newTransfer(tx *books.Tx, call request, in transferFields, amount int64, fingerprint string) books.Transfer {
	day := tx.Now().In(g.zone).Format("20060102")
	t := books.Transfer{
		Provider: books.Alipay, Merchant: call.merchant.ID, Account: call.merchant.Account, Number: in.OutBizNo,
		ProviderNo: fmt.Sprintf("%s110070001502%012d", day, tx.NextNumber()),
		FundNo:     fmt.Sprintf("%s070001502%015d", day, tx.NextNumber()),
		Amount:     amount, ProductCode: in.ProductCode, BizScene: in.BizScene, Title: in.OrderTitle,
		PayeeIdentity: in.PayeeInfo.Identity, Fingerprint: fingerprint,
		State: books.TransferSuccess, CreatedAt: tx.Now(), DoneAt: tx.Now(),
	}
	if in.ProductCode == toBankCard {
		t.State, t.DoneAt, t.DueAt = books.TransferDealing, time.Time{}, tx.RealNow().Add(g.SettleDelay)
	}
	return t
}

func movementOf(t books.Transfer, kind books.MovementKind, amount int64) books.Movement {
	return books.Movement{Provider: t.Provider, Merchant: t.Merchant, Account: t.Account, Kind: kind,
		Number: t.Number, ProviderNo: t.ProviderNo, Amount: amount}
}

type transferQueryFields struct {
	ProductCode    string `json:"product_code"`
	BizScene       string `json:"biz_scene"`
	OutBizNo       string `json:"out_biz_no"`
	OrderID        string `json:"order_id"`
	PayFundOrderID string `json:"pay_fund_order_id"`
}

// queryTransfer is alipay.fund.trans.common.query.
func (g *Gateway) queryTransfer(call request) (*node, error) {
	var in transferQueryFields
	if err := decode(call, &in); err != nil {
		return nil, err
	}
	if in.OrderID == "" && in.PayFundOrderID == "" {
		if in.OutBizNo == "" {
			return nil, refusedTransfer("out_biz_no、order_id、pay_fund_order_id不能同时为空")
		}
		if in.ProductCode == "" || in.BizScene == "" {
			return nil, refusedTransfer("按out_biz_no查询时product_code和biz_scene必填")
		}
	}
	var found books.Transfer
	err := g.books.View(func(r books.Reader) error {
		var ok bool
		switch {
		case in.OrderID != "":
			found, ok = r.TransferByProviderNo(books.Alipay, call.merchant.ID, in.OrderID)
		case in.PayFundOrderID != "":
			found, ok = r.TransferByProviderNo(books.Alipay, call.merchant.ID, in.PayFundOrderID)
		default:
			found, ok = r.Transfer(books.Alipay, call.merchant.ID, in.OutBizNo)
			ok = ok && found.ProductCode == in.ProductCode && found.BizScene == in.BizScene
		}
		if !ok {
			return failed("ORDER_NOT_EXIST", "转账订单不存在")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	answer := success().set("error_code", found.ErrorCode).set("fail_reason", found.FailReason).
		set("order_fee", "0.00").
		set("order_id", found.ProviderNo).
		set("out_biz_no", found.Number)
	if !found.DoneAt.IsZero() {
		answer.set("arrival_time_end", g.format(found.DoneAt)).set("pay_date", g.format(found.DoneAt))
	}
	return answer.
		set("pay_fund_order_id", found.FundNo).
		set("status", string(found.State)).
		set("trans_amount", yuan.Format(found.Amount)), nil
}

// RunDue lets the bank-card transfers succeed whose delay is over, and those come
// back whose day has come, and returns the moment the next one is due: zero if none.
func (g *Gateway) RunDue(context.Context) (time.Time, error) {
	var next time.Time
	var due []books.Transfer
	err := g.books.View(func(r books.Reader) error {
		due = r.DueTransfers()
		return nil
	})
	if err != nil {
		return time.Time{}, err
	}
	for _, t := range due {
		at, to := t.DueAt, books.TransferSuccess
		if t.State == books.TransferSuccess { // its day is on the business clock
			at, to = g.books.RealNow().Add(t.ReturnAt.Sub(g.books.Now())), books.TransferReturned
		}
		if at.After(g.books.RealNow()) {
			if next.IsZero() || at.Before(next) {
				next = at
			}
			continue
		}
		if err := g.finishTransfer(t, to); err != nil {
			return time.Time{}, err
		}
	}
	return next, nil
}

// finishTransfer brings a due transfer to its next state, unless somebody settled it
// meanwhile.
func (g *Gateway) finishTransfer(due books.Transfer, to books.TransferState) error {
	return g.books.Update("transfer_settled", func(tx *books.Tx) error {
		t, ok := tx.Transfer(books.Alipay, due.Merchant, due.Number)
		if !ok || t.State != due.State {
			return nil
		}
		_, err := g.settleTransfer(tx, t, to)
		return err
	})
}

// ReturnTransferLater lets the payee's bank send a transfer back (退票) once the
// business clock is later by after.
func (g *Gateway) ReturnTransferLater(merchant, number string, after time.Duration) (books.Transfer, error) {
	var sent books.Transfer
	err := g.books.Update("transfer_to_return", func(tx *books.Tx) error {
		t, ok := tx.Transfer(books.Alipay, merchant, number)
		switch {
		case !ok:
			return fmt.Errorf("%w: transfer %q of %q", books.ErrNotFound, number, merchant)
		case t.State != books.TransferSuccess:
			return fmt.Errorf("a transfer that is %s cannot come back", t.State)
		}
		t.ReturnAt = tx.Now().Add(after)
		tx.PutTransfer(t)
		sent = t
		return nil
	})
	return sent, err
}

// SettleTransfer brings a transfer to a later state: DEALING to SUCCESS or
// FAIL, and SUCCESS to REFUND, which is a bank returning the money (退票).
// Repeating it changes nothing.
func (g *Gateway) SettleTransfer(merchant, number string, to books.TransferState) (books.Transfer, error) {
	var settled books.Transfer
	err := g.books.Update("transfer_settled", func(tx *books.Tx) error {
		t, ok := tx.Transfer(books.Alipay, merchant, number)
		if !ok {
			return fmt.Errorf("%w: transfer %q of %q", books.ErrNotFound, number, merchant)
		}
		var err error
		settled, err = g.settleTransfer(tx, t, to)
		return err
	})
	return settled, err
}

func (g *Gateway) settleTransfer(tx *books.Tx, t books.Transfer, to books.TransferState) (books.Transfer, error) {
	if t.State == to {
		return t, nil
	}
	settled := t
	settled.State, settled.DueAt, settled.ReturnAt = to, time.Time{}, time.Time{}
	switch {
	case t.State == books.TransferDealing && to == books.TransferSuccess:
		settled.DoneAt = tx.Now()
	case t.State == books.TransferDealing && to == books.TransferFailed,
		t.State == books.TransferSuccess && to == books.TransferReturned:
		settled.ReturnedAt = tx.Now()
		settled.ErrorCode, settled.FailReason = "PAYEE_CARD_INFO_ERROR", "收款方银行卡信息有误"
		if _, err := tx.Move(movementOf(t, books.MovementTransferReturn, t.Amount)); err != nil {
			return books.Transfer{}, err
		}
	default:
		return books.Transfer{}, fmt.Errorf("a transfer that is %s cannot become %s", t.State, to)
	}
	tx.PutTransfer(settled)
	g.notifyTransfer(tx, settled)
	return settled, nil
}

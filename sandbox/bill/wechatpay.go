package bill

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/yuan"
)

// Kinds of WeChat Pay's trade bill.
const (
	TradeAll     = "ALL"
	TradeSuccess = "SUCCESS"
	TradeRefund  = "REFUND"
)

const (
	byteOrderMark = "\ufeff"
	newLine       = "\r\n"
	wechatTime    = "2006-01-02 15:04:05"
)

// column is one column of the trade bill and which kinds of bill have it.
type column struct {
	title string
	kinds string
	value func(line, *time.Location) string
}

// wechatColumns are the columns of all kinds of trade bill, in order; ALL has 27.
func wechatColumns() []column {
	moment := func(at time.Time, zone *time.Location) string {
		if at.IsZero() {
			return ""
		}
		return at.In(zone).Format(wechatTime)
	}
	fixed := func(text string) func(line, *time.Location) string {
		return func(line, *time.Location) string { return text }
	}
	either := func(payment, refund func(line) string) func(line, *time.Location) string {
		return func(l line, _ *time.Location) string {
			if l.refund {
				return refund(l)
			}
			return payment(l)
		}
	}
	constant := func(text string) func(line) string { return func(line) string { return text } }
	amount := func(l line) string { return yuan.Format(l.amount) }
	const all, refunds = "ALL SUCCESS REFUND", "ALL REFUND"
	return []column{
		{"交易时间", all, func(l line, zone *time.Location) string { return moment(l.order.PaidAt, zone) }},
		{"公众账号ID", all, func(l line, _ *time.Location) string { return l.order.AppID }},
		{"商户号", all, func(l line, _ *time.Location) string { return cmp.Or(l.order.Partner, l.order.Merchant) }},
		{"特约商户号", all, func(l line, _ *time.Location) string { return subMerchant(l.order) }},
		{"设备号", all, fixed("")},
		{"微信订单号", all, func(l line, _ *time.Location) string { return l.order.ProviderNo }},
		{"商户订单号", all, func(l line, _ *time.Location) string { return l.order.Number }},
		{"用户标识", all, func(l line, _ *time.Location) string { return cmp.Or(l.order.PayerID, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o") }},
		{"交易类型", all, func(l line, _ *time.Location) string { return cmp.Or(l.order.Product, "NATIVE") }},
		{"交易状态", all, either(func(l line) string { return l.status }, givenBack)},
		{"付款银行", all, func(l line, _ *time.Location) string { return l.order.Channel }},
		{"货币种类", all, fixed("CNY")},
		{"应结订单金额", all, either(amount, constant("0.00"))},
		{"代金券金额", all, fixed("0.00")},
		{"退款申请时间", "REFUND", func(l line, zone *time.Location) string { return moment(l.at, zone) }},
		{"退款成功时间", "REFUND", func(l line, zone *time.Location) string { return moment(l.doneAt, zone) }},
		{"微信退款单号", refunds, either(constant("0"), func(l line) string { return l.providerNo })},
		{"商户退款单号", refunds, either(constant("0"), func(l line) string { return l.number })},
		{"退款金额", refunds, either(constant("0.00"), amount)},
		{"充值券退款金额", refunds, fixed("0.00")},
		{"退款类型", refunds, either(constant(""), constant("ORIGINAL"))},
		{"退款状态", refunds, either(constant(""), func(l line) string { return l.status })},
		{"商品名称", all, func(l line, _ *time.Location) string { return l.order.Subject }},
		{"商户数据包", all, func(l line, _ *time.Location) string { return l.order.Attach }},
		{"手续费", all, func(l line, _ *time.Location) string { return yuan.FormatScaled(l.fee, feeDecimals) }},
		{"费率", all, func(l line, _ *time.Location) string { return yuan.Format(l.order.FeeBasisPoints) + "%" }},
		{"订单金额", all, either(amount, constant("0.00"))},
		{"申请退款金额", refunds, either(constant("0.00"), amount)},
		{"费率备注", all, fixed("")},
	}
}

// WeChatTrade makes the trade bill of a day. ok is false for a day on which the
// kind has no lines: the provider then has no statement at all.
func WeChatTrade(r books.Reader, m books.Merchant, date, kind string, zone *time.Location) (file File, ok bool, err error) {
	lines, err := dayLines(r, m, date, zone)
	if err != nil {
		return File{}, false, err
	}
	var titles []string
	var columns []column
	for _, c := range wechatColumns() {
		if strings.Contains(c.kinds, kind) {
			columns, titles = append(columns, c), append(titles, c.title)
		}
	}
	var text strings.Builder
	text.WriteString(byteOrderMark + strings.Join(titles, ",") + newLine)
	var kept []line
	for _, l := range lines {
		if (kind == TradeSuccess && l.refund) || (kind == TradeRefund && !l.refund) {
			continue
		}
		kept = append(kept, l)
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = c.value(l, zone)
		}
		text.WriteString(dataRow(cells))
	}
	if len(kept) == 0 {
		return File{}, false, nil
	}
	payments, refunds := sums(kept)
	fees := int64(0)
	for _, l := range kept {
		fees += l.fee
	}
	text.WriteString("总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额" + newLine)
	text.WriteString(dataRow([]string{
		fmt.Sprint(len(kept)), yuan.Format(payments.Amount), yuan.Format(refunds.Amount), "0.00",
		yuan.FormatScaled(fees, feeDecimals), yuan.Format(payments.Amount), yuan.Format(refunds.Amount),
	}))
	return wechatFile(m, date, "tradebill", text.String()), true, nil
}

// subMerchant is the column's text for an order: 0 without a service provider.
func subMerchant(o books.Order) string {
	if o.Partner == "" {
		return "0"
	}
	return o.Merchant
}

// givenBack is the state of a line that gives money back.
func givenBack(l line) string {
	if l.reversal {
		return "REVOKED"
	}
	return "REFUND"
}

// WeChatFundFlow makes the fund flow bill of one of the merchant's accounts:
// every movement.
func WeChatFundFlow(r books.Reader, m books.Merchant, account, date string, zone *time.Location) (file File, ok bool, err error) {
	var text strings.Builder
	text.WriteString(byteOrderMark + "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号" + newLine)
	income, outgo := books.Sum{}, books.Sum{}
	for _, v := range r.Movements(func(v books.Movement) bool {
		return v.Provider == books.WeChatPay && v.Account == account && v.At.In(zone).Format(time.DateOnly) == date
	}) {
		direction, amount := "收入", v.Amount
		if v.Amount < 0 {
			direction, amount = "支出", -v.Amount
			outgo.Count++
			outgo.Amount += amount
		} else {
			income.Count++
			income.Amount += amount
		}
		name, kind := fundFlowKind(v.Kind)
		text.WriteString(dataRow([]string{
			v.At.In(zone).Format(wechatTime), v.ProviderNo, fmt.Sprintf("4399%020d", v.ID), name, kind, direction,
			yuan.Format(amount), yuan.Format(v.Balance), "system", "", v.Number,
		}))
	}
	if income.Count+outgo.Count == 0 {
		return File{}, false, nil
	}
	text.WriteString("资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额" + newLine)
	text.WriteString(dataRow([]string{
		fmt.Sprint(income.Count + outgo.Count), fmt.Sprint(income.Count), yuan.Format(income.Amount),
		fmt.Sprint(outgo.Count), yuan.Format(outgo.Amount),
	}))
	return wechatFile(m, date, "fundflowbill", text.String()), true, nil
}

func wechatFile(m books.Merchant, date, kind, text string) File {
	return File{Owner: m.ID, Date: date, Name: m.ID + "_" + date + "_" + kind + ".csv", Content: []byte(text)}
}

// dataRow writes cells, each behind a backtick; a comma inside one is escaped.
func dataRow(cells []string) string {
	escape := strings.NewReplacer(",", `\,`, "\r", " ", "\n", " ")
	var row strings.Builder
	for i, text := range cells {
		if i > 0 {
			row.WriteByte(',')
		}
		row.WriteString("`" + escape.Replace(text))
	}
	return row.String() + newLine
}

func fundFlowKind(kind books.MovementKind) (name, businessType string) {
	switch kind {
	case books.MovementPayment:
		return "交易", "交易"
	case books.MovementPaymentFee:
		return "扣除交易手续费", "扣除交易手续费"
	case books.MovementRefund, books.MovementRefundReturn:
		return "退款", "退款"
	case books.MovementRefundFee:
		return "退还交易手续费", "退款"
	case books.MovementTopUp:
		return "充值", "充值"
	default:
		return "其他", "其他"
	}
}

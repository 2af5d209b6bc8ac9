package books

import "time"

// Provider names the payment provider that the sandbox stands in for.
type Provider string

const (
	// Alipay is the open gateway of Alipay.
	Alipay Provider = "alipay"
	// WeChatPay is WeChat Pay API v3.
	WeChatPay Provider = "wechatpay"
)

// Merchant is a party that a provider knows: an application at Alipay, a
// merchant number at WeChat Pay.
type Merchant struct {
	Provider Provider `json:"provider"`
	// ID is the app_id at Alipay and the mchid at WeChat Pay.
	ID string `json:"id"`
	// Account owns the balance: the seller_id at Alipay, the mchid at WeChat Pay.
	Account string `json:"account"`
	// AppID is WeChat's appid bound to the mchid; empty at Alipay.
	AppID string `json:"appid,omitempty"`
	// PublicKey verifies the merchant's requests (PKIX, PEM).
	PublicKey string `json:"public_key"`
	// Serial is the serial number of the merchant's certificate: at Alipay it is
	// set for an app in certificate mode.
	Serial string `json:"serial,omitempty"`
	// APIv3Key is the merchant's 32-byte AES key (WeChat Pay).
	APIv3Key string `json:"api_v3_key,omitempty"`
	// KeyMode tells which key signs notifications: "public_key" or
	// "platform_certificate" (WeChat Pay).
	KeyMode string `json:"key_mode,omitempty"`
	// FeeBasisPoints is the provider's fee on a payment, 60 meaning 0.6 %.
	FeeBasisPoints int64 `json:"fee_basis_points"`
	// RefundFeeReturned says whether a refund gives the fee back in proportion.
	RefundFeeReturned bool `json:"refund_fee_returned"`
	// Partner is the service provider whose sub-merchant this is (WeChat Pay's
	// sp_mchid, the app_id of Alipay's); such a merchant signs nothing itself.
	// Empty for an ordinary one.
	Partner string `json:"partner,omitempty"`
	// GatewayURL is where Alipay tells an app of what no order names an address for.
	GatewayURL string `json:"gateway_url,omitempty"`
	// AuthToken is what an Alipay service provider acts for this merchant with.
	AuthToken string `json:"auth_token,omitempty"`
	// AppSecret exchanges OAuth codes of AppID (WeChat).
	AppSecret string `json:"app_secret,omitempty"`
	// PreviousSerial names the merchant's certificate before the present one; it
	// signs until PreviousUntil (real time), so that a change needs no pause.
	PreviousSerial    string    `json:"previous_serial,omitempty"`
	PreviousPublicKey string    `json:"previous_public_key,omitempty"`
	PreviousUntil     time.Time `json:"previous_until,omitzero"`
}

// OrderState is what the books know about an order. Expiry is not a state: it
// follows from Order.ExpiresAt and the business clock.
type OrderState string

const (
	// OrderPrepared: the merchant announced the order; at Alipay it is not yet a trade.
	OrderPrepared OrderState = "prepared"
	// OrderWaiting: a payer scanned the code (Alipay), or confirms on the phone what
	// the till asked for.
	OrderWaiting OrderState = "waiting"
	// OrderPaid: the money arrived; refunds are counted in Order.Refunded.
	OrderPaid OrderState = "paid"
	// OrderClosed: the merchant closed it unpaid.
	OrderClosed OrderState = "closed"
)

// Order is one order of a merchant under the merchant's own number. Amounts
// are fen, times are business time.
type Order struct {
	Provider Provider `json:"provider"`
	Merchant string   `json:"merchant"`
	Account  string   `json:"account"`
	AppID    string   `json:"appid,omitempty"`
	// Number is the merchant's out_trade_no; ProviderNo the trade_no or transaction_id.
	Number     string `json:"number"`
	ProviderNo string `json:"provider_no"`
	// Token opens the payer's page.
	Token     string `json:"token"`
	Subject   string `json:"subject"`
	Body      string `json:"body,omitempty"`
	Attach    string `json:"attach,omitempty"`
	NotifyURL string `json:"notify_url,omitempty"`
	Amount    int64  `json:"amount"`
	// Product is the provider's word for how the payer pays, such as JSAPI; empty
	// for the QR code. PayerID is who pays or may pay, in the provider's words.
	Product string `json:"product,omitempty"`
	PayerID string `json:"payer_id,omitempty"`
	// ReturnURL is where the payer's browser goes back to.
	ReturnURL string `json:"return_url,omitempty"`
	// QuitURL is where a payer's browser goes who does not pay (Alipay WAP).
	QuitURL string `json:"quit_url,omitempty"`
	// Partner is the service provider that announced the order, with its appid.
	Partner      string `json:"partner,omitempty"`
	PartnerAppID string `json:"partner_appid,omitempty"`
	// Fingerprint covers the business parameters of the first request.
	Fingerprint string     `json:"fingerprint"`
	State       OrderState `json:"state"`
	ExpiresAt   time.Time  `json:"expires_at"`
	CreatedAt   time.Time  `json:"created_at"`
	ScannedAt   time.Time  `json:"scanned_at,omitzero"`
	PaidAt      time.Time  `json:"paid_at,omitzero"`
	ClosedAt    time.Time  `json:"closed_at,omitzero"`
	DeclinedAt  time.Time  `json:"declined_at,omitzero"`
	RefundedAt  time.Time  `json:"refunded_at,omitzero"`
	// ReversedAt is when the merchant cancelled the order, whatever its state was.
	ReversedAt time.Time `json:"reversed_at,omitzero"`
	// Channel is the payer's means, such as ALIPAYACCOUNT or OTHERS.
	Channel string `json:"channel,omitempty"`
	// Late marks a payment that succeeded although the order was closed or expired.
	Late           bool  `json:"late,omitempty"`
	FeeBasisPoints int64 `json:"fee_basis_points,omitempty"`
	Fee            int64 `json:"fee,omitempty"`
	Refunded       int64 `json:"refunded,omitempty"`
	FeeReturned    int64 `json:"fee_returned,omitempty"`
	RefundCount    int   `json:"refund_count,omitempty"`
}

// Expired says whether an unpaid order can no longer be paid at the moment now.
func (o Order) Expired(now time.Time) bool {
	return (o.State == OrderPrepared || o.State == OrderWaiting) && !o.ExpiresAt.IsZero() && !now.Before(o.ExpiresAt)
}

// RefundState is where a refund stands.
type RefundState string

const (
	RefundProcessing RefundState = "PROCESSING"
	RefundSuccess    RefundState = "SUCCESS"
	// RefundAbnormal: the payer's account cannot take the money (WeChat Pay).
	RefundAbnormal RefundState = "ABNORMAL"
	// RefundClosed: the money went back to the merchant (WeChat Pay).
	RefundClosed RefundState = "CLOSED"
)

// Refund gives part of an order back. Amounts are fen.
type Refund struct {
	Provider    Provider    `json:"provider"`
	Merchant    string      `json:"merchant"`
	OrderNumber string      `json:"order_number"`
	Number      string      `json:"number"`
	ProviderNo  string      `json:"provider_no"`
	Amount      int64       `json:"amount"`
	Cumulative  int64       `json:"cumulative"`
	FeeReturned int64       `json:"fee_returned,omitempty"`
	Reason      string      `json:"reason,omitempty"`
	NotifyURL   string      `json:"notify_url,omitempty"`
	Fingerprint string      `json:"fingerprint"`
	State       RefundState `json:"state"`
	CreatedAt   time.Time   `json:"created_at"`
	DoneAt      time.Time   `json:"done_at,omitzero"`
	// DueAt is the real moment at which a PROCESSING refund becomes SUCCESS.
	DueAt time.Time `json:"due_at,omitzero"`
	// ReturnAt is the business time at which the payer's bank sends the money back.
	ReturnAt time.Time `json:"return_at,omitzero"`
	// Reversal marks the giving back of a whole payment by reversing its order.
	Reversal bool `json:"reversal,omitempty"`
	// Route is how a refund that could not go back the way it came is paid: to
	// the payer's card or to the merchant, in the provider's words.
	Route string `json:"route,omitempty"`
}

// TransferState is where a transfer stands, in Alipay's words.
type TransferState string

const (
	TransferDealing  TransferState = "DEALING"
	TransferSuccess  TransferState = "SUCCESS"
	TransferFailed   TransferState = "FAIL"
	TransferReturned TransferState = "REFUND"
)

// Transfer pays money out of a merchant's balance. Amounts are fen.
type Transfer struct {
	Provider      Provider      `json:"provider"`
	Merchant      string        `json:"merchant"`
	Account       string        `json:"account"`
	Number        string        `json:"number"`
	ProviderNo    string        `json:"provider_no"`
	FundNo        string        `json:"fund_no"`
	Amount        int64         `json:"amount"`
	ProductCode   string        `json:"product_code"`
	BizScene      string        `json:"biz_scene"`
	Title         string        `json:"title,omitempty"`
	PayeeIdentity string        `json:"payee_identity"`
	Fingerprint   string        `json:"fingerprint"`
	State         TransferState `json:"state"`
	ErrorCode     string        `json:"error_code,omitempty"`
	FailReason    string        `json:"fail_reason,omitempty"`
	CreatedAt     time.Time     `json:"created_at"`
	DoneAt        time.Time     `json:"done_at,omitzero"`
	ReturnedAt    time.Time     `json:"returned_at,omitzero"`
	// ReturnAt is the business time at which the payee's bank sends the money back.
	ReturnAt time.Time `json:"return_at,omitzero"`
	DueAt    time.Time `json:"due_at,omitzero"`
}

// MovementKind says why money moved.
type MovementKind string

const (
	MovementPayment        MovementKind = "payment"
	MovementPaymentFee     MovementKind = "payment_fee"
	MovementRefund         MovementKind = "refund"
	MovementRefundFee      MovementKind = "refund_fee"
	MovementRefundReturn   MovementKind = "refund_return"
	MovementTransfer       MovementKind = "transfer"
	MovementTransferReturn MovementKind = "transfer_return"
	MovementTopUp          MovementKind = "top_up"
)

// Movement is one change of one merchant account's balance. Amount and Balance
// are fen; Amount is positive when money came in.
type Movement struct {
	ID          int64        `json:"id"`
	Provider    Provider     `json:"provider"`
	Merchant    string       `json:"merchant"`
	Account     string       `json:"account"`
	Kind        MovementKind `json:"kind"`
	Number      string       `json:"number"`
	OrderNumber string       `json:"order_number,omitempty"`
	ProviderNo  string       `json:"provider_no,omitempty"`
	Amount      int64        `json:"amount"`
	Balance     int64        `json:"balance"`
	At          time.Time    `json:"at"`
}

// NotificationState is where the delivery of a notification stands.
type NotificationState string

const (
	NotificationPending   NotificationState = "pending"
	NotificationDelivered NotificationState = "delivered"
	NotificationExhausted NotificationState = "exhausted"
	NotificationDropped   NotificationState = "dropped"
)

// Notification is a message for a merchant. Payload is the provider's own
// matter before it is signed or encrypted.
type Notification struct {
	ID       string   `json:"id"`
	Provider Provider `json:"provider"`
	Merchant string   `json:"merchant"`
	URL      string   `json:"url"`
	Event    string   `json:"event"`
	// Number is the number the event is about: of the order or of the refund.
	Number    string            `json:"number"`
	Payload   string            `json:"payload"`
	CreatedAt time.Time         `json:"created_at"`
	NextAt    time.Time         `json:"next_at,omitzero"`
	Attempts  int               `json:"attempts"`
	State     NotificationState `json:"state"`
}

// Delivery is one attempt to deliver a notification and what came of it. Times
// are real time.
type Delivery struct {
	NotificationID string            `json:"notification_id"`
	Provider       Provider          `json:"provider"`
	Event          string            `json:"event"`
	Number         string            `json:"number"`
	URL            string            `json:"url"`
	Attempt        int               `json:"attempt"`
	At             time.Time         `json:"at"`
	Status         int               `json:"status,omitempty"`
	Answer         string            `json:"answer,omitempty"`
	Error          string            `json:"error,omitempty"`
	Acknowledged   bool              `json:"acknowledged"`
	Note           string            `json:"note,omitempty"`
	State          NotificationState `json:"state"`
	NextAt         time.Time         `json:"next_at,omitzero"`
}

// BillEdit falsifies one provider's bill of one day on purpose.
type BillEdit struct {
	ID       string   `json:"id"`
	Provider Provider `json:"provider"`
	Merchant string   `json:"merchant,omitempty"`
	Date     string   `json:"date"`
	// Edit is drop_line, add_line, change_amount, change_fee, duplicate_line or change_status.
	Edit   string `json:"edit"`
	Number string `json:"number"`
	// Kind is payment or refund, for add_line.
	Kind   string `json:"kind,omitempty"`
	Amount int64  `json:"amount,omitempty"`
	// Fee is yuan text, positive when the provider takes it.
	Fee    string `json:"fee,omitempty"`
	Status string `json:"status,omitempty"`
}

// Payee is a person at Alipay whose properties differ from the default, which
// is that everybody exists and bears any name.
type Payee struct {
	Identity string `json:"identity"`
	Name     string `json:"name,omitempty"`
	// Problem is the sub_code a transfer to this payee is refused with.
	Problem string `json:"problem,omitempty"`
}

// Code is the code on a payer's phone that a till scans. A code nobody put into
// the books is good once and pays at once.
type Code struct {
	Provider Provider `json:"provider"`
	Code     string   `json:"code"`
	// Outcome is "pay", "confirm" (the payer has to confirm on the phone) or the
	// provider's code of a refusal, such as NOT_ENOUGH.
	Outcome string `json:"outcome"`
	PayerID string `json:"payer_id,omitempty"`
	// UsedBy is the merchant and number of the order it was used for.
	UsedBy string `json:"used_by,omitempty"`
}

// Record is one line of the journal: objects as they are from now on, and facts.
type Record struct {
	Seq           int64          `json:"seq"`
	Kind          string         `json:"kind"`
	RealTime      time.Time      `json:"real_time"`
	Merchants     []Merchant     `json:"merchants,omitempty"`
	Orders        []Order        `json:"orders,omitempty"`
	Refunds       []Refund       `json:"refunds,omitempty"`
	Transfers     []Transfer     `json:"transfers,omitempty"`
	Movements     []Movement     `json:"movements,omitempty"`
	Notifications []Notification `json:"notifications,omitempty"`
	Deliveries    []Delivery     `json:"deliveries,omitempty"`
	BillEdits     []BillEdit     `json:"bill_edits,omitempty"`
	ClearedEdits  []string       `json:"cleared_edits,omitempty"`
	Payees        []Payee        `json:"payees,omitempty"`
	Codes         []Code         `json:"codes,omitempty"`
	// ClockOffset, when present, is the new offset of the business clock.
	ClockOffset *time.Duration `json:"clock_offset,omitempty"`
}

func (r *Record) empty() bool {
	return len(r.Merchants)+len(r.Orders)+len(r.Refunds)+len(r.Transfers)+len(r.Movements)+
		len(r.Notifications)+len(r.Deliveries)+len(r.BillEdits)+len(r.ClearedEdits)+len(r.Payees)+len(r.Codes) == 0 &&
		r.ClockOffset == nil
}

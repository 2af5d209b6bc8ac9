package channel

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/id"
)

// Operation names a call to a provider, as a word of this platform.
type Operation string

// The calls an Adapter and its optional abilities make.
const (
	OpPrepay         Operation = "prepay"
	OpQueryTrade     Operation = "query_trade"
	OpCloseTrade     Operation = "close_trade"
	OpPayByCode      Operation = "pay_by_code"
	OpCancelTrade    Operation = "cancel_trade"
	OpFindPayer      Operation = "find_payer"
	OpRefund         Operation = "refund"
	OpQueryRefund    Operation = "query_refund"
	OpRedirectRefund Operation = "redirect_refund"
	OpTransfer       Operation = "transfer"
	OpQueryTransfer  Operation = "query_transfer"
	OpFetchTradeBill Operation = "fetch_trade_bill"
	OpFetchFundBill  Operation = "fetch_fund_bill"
)

// Operations lists every Operation.
func Operations() []Operation {
	return []Operation{
		OpPrepay, OpQueryTrade, OpCloseTrade, OpPayByCode, OpCancelTrade, OpFindPayer, OpRefund, OpQueryRefund,
		OpRedirectRefund, OpTransfer, OpQueryTransfer, OpFetchTradeBill, OpFetchFundBill,
	}
}

// CallError is the Outcome of a call that brought no answer but an error: the
// caller's own mistake, or a context that had ended before anything was sent.
const CallError Outcome = "error"

// Call is what is kept of one call to a provider, for people. It holds no
// personal data, code, key or free text.
type Call struct {
	Tenant           string
	ChannelAccountID string
	// Number is our number of the attempt, refund or transfer; empty for bills and payers.
	Number    string
	Operation Operation
	// StartedAt is on the clock of this process when written, on the business clock when read.
	StartedAt time.Time
	Took      time.Duration
	Outcome   Outcome
	// Code is the provider's, or one of this package's.
	Code string
	// RequestID is the provider's number of the call, for its support; empty where it gives none.
	RequestID string
	// Request and Answer hold a few plain fields each, such as amounts and states.
	Request, Answer map[string]string
}

// maxField bounds a text of Request and Answer, so that a row stays small.
const maxField = 128

// CodeOther stands for a provider's code that does not look like a code.
const CodeOther = "OTHER"

// codes is how every code and request id looks that is kept.
var codes = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,64}$`)

// PlainCode returns code if it looks like one, else CodeOther: what a provider
// writes in the place of a code could be any text.
func PlainCode(code string) string {
	if !codes.MatchString(code) {
		return CodeOther
	}
	return code
}

// RecordCalls stores calls of any tenants in one statement. It needs the system
// role. Not idempotent.
func RecordCalls(ctx context.Context, tx pgx.Tx, calls []Call) error {
	batch := make([]callRow, len(calls))
	now := time.Now()
	for i, call := range calls {
		batch[i] = callRow{
			Tenant: call.Tenant, ID: id.Number(), Account: call.ChannelAccountID, Number: call.Number, Operation: call.Operation,
			AgeUS: max(now.Sub(call.StartedAt), 0).Microseconds(), TookMS: max(call.Took, 0).Milliseconds(), Outcome: call.Outcome,
			Code: PlainCode(call.Code), RequestID: call.RequestID, Request: shortened(call.Request), Answer: shortened(call.Answer),
		}
		if !codes.MatchString(call.RequestID) {
			batch[i].RequestID = ""
		}
	}
	rows, err := json.Marshal(batch)
	if err != nil {
		return fmt.Errorf("record calls: %w", err)
	}
	_, err = tx.Exec(ctx, `
		insert into channel_calls (tenant_id, id, channel_account_id, number, operation, started_at, took_ms,
			outcome, code, request_id, request, answer)
		select tenant_id, id, channel_account_id, number, operation, suanpan_now() - age_us * interval '1 microsecond', took_ms,
			outcome, code, request_id, request, answer
		from jsonb_to_recordset($1::jsonb) as c (tenant_id text, id text, channel_account_id text, number text, operation text,
			age_us bigint, took_ms bigint, outcome text, code text, request_id text, request jsonb, answer jsonb)`, string(rows))
	if err != nil {
		return fmt.Errorf("record calls: %w", err)
	}
	return nil
}

type callRow struct {
	Tenant    string            `json:"tenant_id"`
	ID        string            `json:"id"`
	Account   string            `json:"channel_account_id"`
	Number    string            `json:"number"`
	Operation Operation         `json:"operation"`
	AgeUS     int64             `json:"age_us"`
	TookMS    int64             `json:"took_ms"`
	Outcome   Outcome           `json:"outcome"`
	Code      string            `json:"code"`
	RequestID string            `json:"request_id"`
	Request   map[string]string `json:"request"`
	Answer    map[string]string `json:"answer"`
}

func shortened(fields map[string]string) map[string]string {
	out := make(map[string]string, len(fields))
	for name, value := range fields {
		if value != "" {
			out[name] = value[:min(len(value), maxField)]
		}
	}
	return out
}

// ForgetCalls drops the months of calls that are older than the given number of
// whole months, at least 1, and returns how many it dropped. It needs the system role.
func ForgetCalls(ctx context.Context, tx pgx.Tx, months int) (int, error) {
	var dropped int
	if err := tx.QueryRow(ctx, `select forget_channel_calls($1)`, months).Scan(&dropped); err != nil {
		return 0, fmt.Errorf("forget old calls: %w", err)
	}
	return dropped, nil
}

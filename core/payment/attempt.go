package payment

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/clock"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/money"
)

// Attempt is one try to collect a payment at one provider.
type Attempt struct {
	ID               string
	PaymentID        string
	ChannelAccountID string
	Channel          string
	Product          channel.Product
	// Position counts the attempts of a payment from 1.
	Position int
	// Number is what the provider knows; it never changes.
	Number      string
	RequestHash []byte
	Status      AttemptStatus
	// Action is what the payer's side has to do next; nil while there is nothing.
	Action *channel.Action
	// Payer is sealed, and forgotten at the attempt's end.
	Payer     party.SealedPayer
	ReturnURL string
	// Click is the payer's click on the checkout page that made it, if one did.
	Click string
	// CodeHash is the digest of the code on the payer's phone.
	CodeHash []byte
	// Asked is how often the provider was asked to prepare the trade and may have
	// heard it.
	Asked int
	// SentAt is when the money was, or was about to be, asked for by the payer's
	// code: it may have moved since. CancelSentAt is the same of undoing that.
	SentAt, CancelSentAt *time.Time
	// Unseen: the provider, asked to close it, did not know it.
	Unseen         bool
	Failure        *Failure
	ChannelTradeNo string
	// Fee is what the provider keeps, in minor units, known once paid.
	Fee       money.Amount
	PaidAt    *time.Time
	CreatedAt time.Time
}

// MaxAttempts bounds the attempts of one payment.
const MaxAttempts = 20

// maxAccounts is how many channel accounts one request is tried at when nobody
// is reached.
const maxAccounts = 3

// AddAttempt adds an attempt to a payment that waits for its payer, tells the
// payment's workflow, and returns the attempt's id. The attempts before it stay
// open: the first that is paid wins.
func AddAttempt(ctx context.Context, tx pgx.Tx, tenantID, paymentID string, m Method, till Till) (string, error) {
	p, err := Lock(ctx, tx, tenantID, paymentID)
	if err != nil {
		return "", err
	}
	return add(ctx, tx, tenantID, p, m, till)
}

// ChooseAttempt is AddAttempt for a payer's click on the checkout page. A click
// that came before, and a way of which the payer can still use the open attempt,
// are answered with the attempt there is: it is idempotent by m.Click.
func ChooseAttempt(ctx context.Context, tx pgx.Tx, tenantID, paymentID string, m Method, till Till) (string, error) {
	p, err := Lock(ctx, tx, tenantID, paymentID)
	if err != nil {
		return "", err
	}
	now, err := clock.Now(ctx, tx)
	if err != nil {
		return "", err
	}
	all, err := Attempts(ctx, tx, tenantID, paymentID)
	if err != nil {
		return "", err
	}
	for _, a := range slices.Backward(all) {
		if m.Click != "" && a.Click == m.Click {
			return a.ID, nil
		}
		if a.Channel != m.Channel || a.Product != m.Product || !a.Status.Live() || till.Stale(a, now) {
			continue
		}
		same, err := till.isPayer(ctx, tx, tenantID, a, m.PayerID)
		if err != nil {
			return "", err
		}
		if same {
			return a.ID, nil
		}
	}
	return add(ctx, tx, tenantID, p, m, till)
}

// isPayer reports whether the attempt is of the payer whom the provider calls payerID,
// or of nobody in particular if that is empty.
func (t Till) isPayer(ctx context.Context, tx pgx.Tx, tenantID string, a Attempt, payerID string) (bool, error) {
	if !a.Payer.HasID() || payerID == "" {
		return a.Payer.HasID() == (payerID != ""), nil
	}
	payer, err := a.Payer.Open(ctx, tx, t.Box, tenantID)
	if errors.Is(err, party.ErrForgotten) {
		return false, nil
	}
	return payer.ID == payerID, err
}

// Stale reports whether what the provider gave the payer of an attempt to pay by
// is no longer good, although the trade may be.
func (t Till) Stale(a Attempt, now time.Time) bool {
	for _, offer := range t.Offers(a.Channel) {
		if offer.Product == a.Product {
			return offer.Life > 0 && now.Sub(a.CreatedAt) > offer.Life
		}
	}
	return false
}

// add adds an attempt to p, which the caller has locked.
func add(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, m Method, till Till) (string, error) {
	var inTime bool
	if err := tx.QueryRow(ctx, `select suanpan_now() < $1`, p.ExpiresAt).Scan(&inTime); err != nil {
		return "", fmt.Errorf("payment %s: %w", p.ID, err)
	}
	switch {
	case p.Status != AwaitingPayer:
		return "", fault.Refused("payment_id", "payment_not_payable",
			"Only a payment that waits for its payer takes another attempt; this one is "+string(p.Status)+".")
	case p.CancelRequested || !inTime:
		return "", fault.Refused("payment_id", "payment_not_payable", "The payment is about to be closed.")
	case p.Attempt.Position >= MaxAttempts:
		return "", fault.Refused("payment_id", "too_many_attempts", "The payment has had all the attempts it may have; create a new one.")
	}
	attemptID, err := begin(ctx, tx, tenantID, p, m, till, nil)
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `update payments set news_at = clock_timestamp() where tenant_id = $1 and id = $2`, tenantID, p.ID)
	if err != nil {
		return "", fmt.Errorf("news of payment %s: %w", p.ID, err)
	}
	return attemptID, nil
}

// begin records an attempt with its number at the first account that offers what
// m asks for, but for those in not.
func begin(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, m Method, till Till, not []string) (string, error) {
	a := Attempt{ID: id.New(id.Attempt), Number: id.Number(), Product: m.Product, ReturnURL: m.ReturnURL}
	account, err := till.choose(ctx, tx, tenantID, p.MerchantID, a.Number, m, not)
	if err != nil {
		return "", err
	}
	var insert pgx.Batch
	a.Payer, err = party.SealPayer(ctx, tx, till.Box, tenantID, party.Payer{ID: m.PayerID, IP: m.PayerIP}, &insert)
	if err != nil {
		return "", err
	}
	if m.AuthCode != "" {
		digest := sha256.Sum256([]byte(a.Number + m.AuthCode))
		a.CodeHash = digest[:]
	}
	p.Attempt = a
	insert.Queue(`
		insert into attempts (tenant_id, id, payment_id, channel_account_id, channel, product, position, number, request_hash,
			payer_person, sealed_payer_id, sealed_payer_ip, return_url, code_hash, click, status)
		select $1, $2, $3, $4, $5, $6, 1 + count(*), $7, $8, nullif($9, ''), $10, $11, nullif($12, ''), $13,
			nullif($14, ''), 'preparing'
		from attempts where tenant_id = $1 and payment_id = $3`,
		tenantID, a.ID, p.ID, account.ID, m.Channel, string(m.Product), a.Number, p.requestHash(),
		a.Payer.Person, a.Payer.ID, a.Payer.IP, m.ReturnURL, a.CodeHash, m.Click)
	if err := tx.SendBatch(ctx, &insert).Close(); err != nil {
		return "", fmt.Errorf("create attempt: %w", err)
	}
	if m.AuthCode == "" {
		return a.ID, nil
	}
	return a.ID, till.Box.PutOneTime(ctx, tx, tenantID, a.ID, []byte(m.AuthCode), codeLife)
}

// TryElsewhere ends the attempt of p, which surely never reached its provider,
// and begins another at the next account of the same channel and product. It
// reports false, and changes nothing, when there is none left, enough were tried,
// or the payer is known by a name that is this account's; the attempt then goes
// on. code is the payer's code, if it takes one.
func TryElsewhere(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, code string, till Till) (bool, error) {
	all, err := Attempts(ctx, tx, tenantID, p.ID)
	if err != nil {
		return false, err
	}
	not := []string{p.Attempt.ChannelAccountID}
	for _, other := range all {
		if other.Failure != nil && other.Failure.Code == CodeNeverSent {
			not = append(not, other.ChannelAccountID)
		}
	}
	if len(not) >= maxAccounts || p.Attempt.Position >= MaxAttempts || p.Attempt.Payer.HasID() {
		return false, nil
	}
	a := p.Attempt
	payer, err := a.Payer.Open(ctx, tx, till.Box, tenantID)
	if errors.Is(err, party.ErrForgotten) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	m := Method{Channel: a.Channel, Product: a.Product, PayerIP: payer.IP, ReturnURL: a.ReturnURL, AuthCode: code}
	_, err = begin(ctx, tx, tenantID, p, m, till, not)
	var refusal *fault.Error
	if errors.As(err, &refusal) && refusal.Kind == fault.KindRefused {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, setAttempt(ctx, tx, tenantID, p, AttemptClosed, `, failure_code = $5, failure_message = $6`,
		CodeNeverSent, "The provider was not reached; another account was tried.")
}

// CodeNeverSent is the failure of an attempt that never reached its provider.
const CodeNeverSent = "never_sent"

// requestHash freezes what is sent under the attempt's number: a resend with
// other content is a programming error that must not reach the provider.
func (p Payment) requestHash() []byte {
	a, h := p.Attempt, sha256.New()
	payerID, payerIP := a.Payer.Frozen()
	for _, field := range []string{a.Number, strconv.FormatInt(p.Amount.Minor, 10), string(p.Amount.Currency),
		p.Subject, p.ExpiresAt.UTC().Format(time.RFC3339), string(a.Product), payerID, payerIP, a.ReturnURL, string(a.CodeHash)} {
		_, _ = fmt.Fprintf(h, "%d:%s\n", len(field), field)
	}
	return h.Sum(nil)
}

// ErrRequestChanged says that what would be sent under an attempt's number is
// not what was first recorded for it.
var ErrRequestChanged = errors.New("the request recorded under this number was changed")

// CheckFrozen returns ErrRequestChanged unless p still says what its attempt was
// created with. Of an attempt at its end only the number is ever sent, and its
// payer is forgotten.
func (p Payment) CheckFrozen() error {
	if p.Attempt.Status.Live() && !slices.Equal(p.requestHash(), p.Attempt.RequestHash) {
		return ErrRequestChanged
	}
	return nil
}

// CheckCode returns ErrRequestChanged unless code is the one the attempt was
// created with.
func (a Attempt) CheckCode(code string) error {
	digest := sha256.Sum256([]byte(a.Number + code))
	if !slices.Equal(digest[:], a.CodeHash) {
		return ErrRequestChanged
	}
	return nil
}

// Asking commits, with tx, that the provider is about to be asked to prepare the
// attempt's trade, and counts how often that was so.
func Asking(ctx context.Context, tx pgx.Tx, tenantID string, p Payment) error {
	return change(ctx, tx, tenantID, p, `asked = asked + 1`)
}

// NotAsked takes one Asking back: the question surely never left.
func NotAsked(ctx context.Context, tx pgx.Tx, tenantID string, p Payment) error {
	return change(ctx, tx, tenantID, p, `asked = asked - 1`)
}

// Sending commits, with tx, that money is about to be asked for by the payer's
// code: from now on it may have moved.
func Sending(ctx context.Context, tx pgx.Tx, tenantID string, p Payment) error {
	return change(ctx, tx, tenantID, p, `sent_at = clock_timestamp()`)
}

// Cancelling commits, with tx, that the provider is about to be asked to undo
// the attempt: from now on a payment of it may have been given back.
func Cancelling(ctx context.Context, tx pgx.Tx, tenantID string, p Payment) error {
	return change(ctx, tx, tenantID, p, `cancel_sent_at = coalesce(cancel_sent_at, clock_timestamp())`)
}

// NotCancelled notes that the provider refused to undo the attempt, so that what
// a query says of it counts again.
func NotCancelled(ctx context.Context, tx pgx.Tx, tenantID string, p Payment) error {
	return change(ctx, tx, tenantID, p, `cancel_sent_at = null`)
}

// NotSeen notes that the provider, asked to close the attempt, does not know it:
// a payer who has its code may still come, until it expires. A payment that the
// tenant wants ended does not wait for that.
func NotSeen(ctx context.Context, tx pgx.Tx, tenantID string, p *Payment) error {
	if err := change(ctx, tx, tenantID, *p, `unseen_at = coalesce(unseen_at, clock_timestamp())`); err != nil {
		return err
	}
	p.Attempt.Unseen = true
	return Settle(ctx, tx, tenantID, p)
}

// change sets columns of the attempt of p while it is not at its end.
func change(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, set string) error {
	tag, err := tx.Exec(ctx, `update attempts set `+set+`
		where tenant_id = $1 and id = $2 and status in ('preparing', 'awaiting_payer')`, tenantID, p.Attempt.ID)
	if err == nil && tag.RowsAffected() != 1 {
		err = errors.New("it is at its end")
	}
	if err != nil {
		return fmt.Errorf("attempt %s: %w", p.Attempt.ID, err)
	}
	return nil
}

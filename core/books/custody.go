package books

import (
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// OwnMove is the tenant's own money on its way into custody or out of it.
type OwnMove struct {
	// Number is the move's id.
	Number string
	// Custody is where it arrives or leaves: ChannelBalanceAccount or CustodyBankAccount.
	Custody ledger.AccountKey
	Amount  money.Amount
}

// OwnTopup books that the tenant brought own money into custody, from which it
// bears fees, bonuses and advances.
func OwnTopup(m OwnMove) []ledger.Entry {
	return begin(ledger.OwnTopup, m.Number, phaseBooked, m.Amount.Currency).
		debit(m.Custody, m.Amount).
		gainStake(m.Amount).
		credit(own(ledger.OwnBank, m.Amount.Currency), m.Amount).
		entries()
}

// OwnSweep books that the tenant took own money, such as earned fees, out of
// custody. Whoever decides it looks at the own stake first: verify tells when it
// fell below zero without an approved advance.
func OwnSweep(m OwnMove) []ledger.Entry {
	return begin(ledger.OwnSweep, m.Number, phaseBooked, m.Amount.Currency).
		loseStake(m.Amount).
		credit(m.Custody, m.Amount).
		debit(own(ledger.OwnBank, m.Amount.Currency), m.Amount).
		entries()
}

// BankMove is client money between our balance at a provider and the custodian
// bank.
type BankMove struct {
	// Number is the move's id, or the bank's own number.
	Number   string
	From, To ledger.AccountKey
	Amount   money.Amount
}

// BankTransfer books that custody moved: from one provider or bank to another.
func BankTransfer(m BankMove) []ledger.Entry {
	return begin(ledger.CustodyTransfer, m.Number, phaseBooked, m.Amount.Currency).
		debit(m.To, m.Amount).
		credit(m.From, m.Amount).
		entries()
}

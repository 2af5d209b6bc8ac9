package books

import (
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// The phases of the flows. With kind and number they make the reference under
// which a fact is booked once, for ever: never rename one.
const (
	phaseBooked    = "booked"
	phasePaid      = "paid"
	phaseLate      = "late"
	phaseRefunded  = "refunded"
	phaseChannel   = "channel"
	phasePlatform  = "platform"
	phaseAccepted  = "accepted"
	phaseSucceeded = "succeeded"
	phaseFailed    = "failed"
	phaseReturned  = "returned"
	phaseSentOn    = "sent_on"
	phaseRecharged = "recharged"
	phaseGranted   = "granted"
	phaseSpent     = "spent"
	phaseRestored  = "restored"
	phaseExpired   = "expired"
	phaseDeposit   = "deposit"
	phaseWriteOff  = "written_off"
)

// draft is an entry while a flow writes it.
type draft struct{ entry ledger.Entry }

func begin(kind ledger.Kind, number, phase string, currency money.Currency) *draft {
	return &draft{ledger.Entry{
		Reference: ledger.Reference{Kind: kind, Number: number, Phase: phase},
		Currency:  currency,
	}}
}

// debit and credit write a leg. Amounts are positive; a negative one is written
// as zero, which the ledger refuses.
func (d *draft) debit(account ledger.AccountKey, amount money.Amount) *draft {
	d.entry.Postings = append(d.entry.Postings, ledger.Posting{Account: account, Amount: max(amount.Minor, 0)})
	return d
}

func (d *draft) credit(account ledger.AccountKey, amount money.Amount) *draft {
	d.entry.Postings = append(d.entry.Postings, ledger.Posting{Account: account, Amount: -max(amount.Minor, 0)})
	return d
}

// fromHold makes the last leg capture a hold.
func (d *draft) fromHold(reference string) *draft {
	d.entry.Postings[len(d.entry.Postings)-1].FromHold = reference
	return d
}

func (d *draft) channelDate(date string) *draft {
	d.entry.ChannelDate = date
	return d
}

func (d *draft) note(key, value string) *draft {
	if d.entry.Metadata == nil {
		d.entry.Metadata = map[string]string{}
	}
	d.entry.Metadata[key] = value
	return d
}

func (d *draft) entries() []ledger.Entry { return []ledger.Entry{d.entry} }

// gainStake and loseStake write the two legs by which the tenant's own part of
// the custody assets grows or shrinks: the stake in the trust book, and its
// mirror, the claim, in the own book. The caller writes the leg against each.
func (d *draft) gainStake(amount money.Amount) *draft {
	return d.credit(own(ledger.OwnStakeInCustody, amount.Currency), amount).
		debit(own(ledger.CustodyClaim, amount.Currency), amount)
}

func (d *draft) loseStake(amount money.Amount) *draft {
	return d.debit(own(ledger.OwnStakeInCustody, amount.Currency), amount).
		credit(own(ledger.CustodyClaim, amount.Currency), amount)
}

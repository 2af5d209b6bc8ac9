// Package refund owns refunds: giving a payer's money back, asked for by the
// tenant or owed because it arrived late; what each receiver of the split gives
// back; and the records of both.
//
// Money for a refund is held when the refund is accepted, so that a refund that
// was accepted cannot fail for want of it. The package may not call a provider.
package refund

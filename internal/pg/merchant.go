package pg

import "context"

type merchantKey struct{}

// OfMerchant returns a context whose transactions see only rows of that merchant
// in the tables that name one, besides what the tenant's wall hides anyway. It is
// for callers who are a merchant's staff.
func OfMerchant(ctx context.Context, merchantID string) context.Context {
	return context.WithValue(ctx, merchantKey{}, merchantID)
}

func merchantOf(ctx context.Context) string {
	merchantID, _ := ctx.Value(merchantKey{}).(string)
	return merchantID
}

package tenant

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
)

// ProductStatus says whether a provider lets an account sell a product.
type ProductStatus string

const (
	// ProductNotOpened: nobody has asked the provider for it. Next: the tenant applies.
	ProductNotOpened ProductStatus = "not_opened"
	// ProductApplying: the provider is looking at the application. Next: the provider.
	ProductApplying ProductStatus = "applying"
	// ProductOpened: payments may use it.
	ProductOpened ProductStatus = "opened"
	// ProductSuspended: it was opened and may not be used now. Next: the tenant.
	ProductSuspended ProductStatus = "suspended"
)

// productStatuses lists them all.
func productStatuses() []ProductStatus {
	return []ProductStatus{ProductNotOpened, ProductApplying, ProductOpened, ProductSuspended}
}

// ProductChange is what an account's catalogue shall say about one product.
type ProductChange struct {
	Product string
	// MerchantID narrows it to one merchant, whose rows go before those of all
	// merchants (empty).
	MerchantID string
	Status     ProductStatus
	// Note is the tenant's own text, such as the number of the application.
	Note string
}

// ProductState is a row of the catalogue: in force, or history when EndedAt is set.
type ProductState struct {
	ProductChange
	Since   time.Time
	EndedAt *time.Time
}

// SetProducts writes changes into the catalogue of an account; what is not named
// stays. A change to what is in force already writes nothing, so it is idempotent.
// An Invalid fault names the field of the change by its index; an unknown account
// is NotFound.
func SetProducts(ctx context.Context, q pg.Querier, tenant, accountID string, changes []ProductChange) error {
	for i, c := range changes {
		if err := checkProductChange("products["+strconv.Itoa(i)+"].", c); err != nil {
			return err
		}
	}
	// Changes of one account run one after the other.
	var found bool
	err := q.QueryRow(ctx, `
		select true from channel_accounts where tenant_id = $1 and id = $2 for no key update`, tenant, accountID).Scan(&found)
	if err != nil {
		return notFound("lock channel account", err)
	}
	for i, c := range changes {
		if err := setProduct(ctx, q, tenant, accountID, i, c); err != nil {
			return err
		}
	}
	return nil
}

func checkProductChange(at string, c ProductChange) error {
	if !slices.Contains(productStatuses(), c.Status) {
		return fault.Invalid(at+"status", "status_unknown", "a product is not_opened, applying, opened or suspended")
	}
	if c.Note == "" {
		return nil
	}
	return checkText(at+"note", c.Note, 256)
}

func setProduct(ctx context.Context, q pg.Querier, tenant, accountID string, i int, c ProductChange) error {
	if c.MerchantID != "" {
		var found bool
		err := q.QueryRow(ctx, `
			select exists (select from merchants where tenant_id = $1 and id = $2)`, tenant, c.MerchantID).Scan(&found)
		if err != nil {
			return fmt.Errorf("find merchant: %w", err)
		}
		if !found {
			return fault.Refused("products["+strconv.Itoa(i)+"].merchant_id", "merchant_unknown",
				"there is no such merchant; create it first")
		}
	}
	tag, err := q.Exec(ctx, `
		update channel_products set ended_at = suanpan_now()
		where tenant_id = $1 and channel_account_id = $2 and product = $3 and merchant_id = $4 and ended_at is null
		  and (status, note) is distinct from ($5, $6)`,
		tenant, accountID, c.Product, c.MerchantID, c.Status, c.Note)
	if err != nil {
		return fmt.Errorf("end product row: %w", err)
	}
	_, err = q.Exec(ctx, `
		insert into channel_products (tenant_id, channel_account_id, product, merchant_id, status, note)
		values ($1, $2, $3, $4, $5, $6) on conflict do nothing`,
		tenant, accountID, c.Product, c.MerchantID, c.Status, c.Note)
	if err != nil {
		return fmt.Errorf("set product (%d rows ended): %w", tag.RowsAffected(), err)
	}
	return nil
}

// ListProducts returns an account's catalogue: the rows in force, or with history
// also those before them, newest first among rows of one product and merchant.
func ListProducts(ctx context.Context, q pg.Querier, tenant, accountID string, history bool) ([]ProductState, error) {
	rows, err := q.Query(ctx, `
		select product, merchant_id, status, note, since, ended_at from channel_products
		where tenant_id = $1 and channel_account_id = $2 and ($3 or ended_at is null)
		order by product, merchant_id, seq desc`, tenant, accountID, history)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (ProductState, error) {
		var s ProductState
		err := row.Scan(&s.Product, &s.MerchantID, &s.Status, &s.Note, &s.Since, &s.EndedAt)
		return s, err
	})
}

package recon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// Daily is one run of a tenant's daily operations for a business date.
type Daily struct {
	ID string
	// BusinessDate is yyyy-mm-dd, Asia/Shanghai.
	BusinessDate string
	Status       DailyStatus
	// WaitingFor says in words why a processing run has not finished.
	WaitingFor string
	Failure    string
	CreatedAt  time.Time
	FinishedAt *time.Time
}

const dailyColumns = `id, to_char(business_date, 'YYYY-MM-DD'), status, coalesce(waiting_for, ''),
	coalesce(failure, ''), created_at, finished_at`

func scanDaily(row pgx.CollectableRow) (Daily, error) {
	var d Daily
	err := row.Scan(&d.ID, &d.BusinessDate, &d.Status, &d.WaitingFor, &d.Failure, &d.CreatedAt, &d.FinishedAt)
	return d, err
}

// StartDaily records that daily operations for date (yyyy-mm-dd) begin. A date
// that was run before may be run again. Faults: invalid for a malformed date,
// refused for a day that has not ended, conflict while the date is being run.
func StartDaily(ctx context.Context, tx pgx.Tx, tenant, date string) (Daily, error) {
	day, err := ParseDay(date)
	if err != nil {
		return Daily{}, err
	}
	today, err := businessDay(ctx, tx)
	if err != nil {
		return Daily{}, err
	}
	if !day.Start().Before(today.Start()) {
		return Daily{}, fault.Refused("business_date", "day_not_over",
			"A day is settled and reconciled after it has ended in Shanghai; give "+today.Previous().String()+" or an earlier one.")
	}
	rows, err := tx.Query(ctx, `
		insert into daily_operations (tenant_id, id, business_date, status) values ($1, $2, $3, 'processing')
		on conflict do nothing returning `+dailyColumns, tenant, id.New(id.Daily), day.Start())
	if err != nil {
		return Daily{}, fmt.Errorf("start daily operations: %w", err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanDaily)
	if errors.Is(err, pgx.ErrNoRows) {
		return Daily{}, fault.Conflict("date", "daily_operations_processing",
			"Daily operations for "+day.String()+" are running; wait until they end, then start them again if needed.")
	}
	if err != nil {
		return Daily{}, fmt.Errorf("start daily operations: %w", err)
	}
	return d, nil
}

// SetDailyWaiting notes in words what a processing run waits for. Idempotent.
func SetDailyWaiting(ctx context.Context, tx pgx.Tx, tenant, dailyID, why string) error {
	_, err := tx.Exec(ctx, `update daily_operations set waiting_for = $3
		where tenant_id = $1 and id = $2 and status = 'processing' and waiting_for is distinct from $3`, tenant, dailyID, why)
	if err != nil {
		return fmt.Errorf("daily operations %s waiting: %w", dailyID, err)
	}
	return nil
}

// FinishDaily records that every part of the run has ended. Idempotent.
func FinishDaily(ctx context.Context, tx pgx.Tx, tenant, dailyID string) (Daily, error) {
	return endDaily(ctx, tx, tenant, dailyID, DailyDone, nil)
}

// FailDaily records that the run ended without doing its work, and why.
// Idempotent: the first reason stays.
func FailDaily(ctx context.Context, tx pgx.Tx, tenant, dailyID, why string) (Daily, error) {
	return endDaily(ctx, tx, tenant, dailyID, DailyFailed, &why)
}

func endDaily(ctx context.Context, tx pgx.Tx, tenant, dailyID string, to DailyStatus, failure *string) (Daily, error) {
	d, err := oneDaily(ctx, tx, `where tenant_id = $1 and id = $2 for update`, tenant, dailyID)
	if err != nil || d.Status == to {
		return d, err
	}
	if !d.Status.CanBecome(to) {
		return Daily{}, fmt.Errorf("daily operations %s are %s and cannot become %s", dailyID, d.Status, to)
	}
	_, err = tx.Exec(ctx, `
		update daily_operations set status = $3, failure = $4, waiting_for = null, finished_at = suanpan_now()
		where tenant_id = $1 and id = $2 and status = 'processing'`, tenant, dailyID, to, failure)
	if err != nil {
		return Daily{}, fmt.Errorf("daily operations %s to %s: %w", dailyID, to, err)
	}
	return GetDaily(ctx, tx, tenant, dailyID)
}

func oneDaily(ctx context.Context, q pg.Querier, where string, args ...any) (Daily, error) {
	rows, err := q.Query(ctx, `select `+dailyColumns+` from daily_operations `+where, args...)
	if err != nil {
		return Daily{}, fmt.Errorf("daily operations: %w", err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanDaily)
	if errors.Is(err, pgx.ErrNoRows) {
		return Daily{}, fault.NotFound()
	}
	if err != nil {
		return Daily{}, fmt.Errorf("daily operations: %w", err)
	}
	return d, nil
}

// GetDaily returns one run, or fault.NotFound.
func GetDaily(ctx context.Context, q pg.Querier, tenant, dailyID string) (Daily, error) {
	return oneDaily(ctx, q, `where tenant_id = $1 and id = $2`, tenant, dailyID)
}

// DailyFilter narrows ListDaily; zero fields do not filter.
type DailyFilter struct {
	BusinessDate string
	Status       DailyStatus
	// Before is the id of the last run of the page before.
	Before string
	Limit  int
}

// ListDaily returns runs, newest first.
func ListDaily(ctx context.Context, q pg.Querier, tenant string, f DailyFilter) ([]Daily, error) {
	rows, err := q.Query(ctx, `select `+dailyColumns+` from daily_operations
		where tenant_id = $1 and ($2::text = '' or to_char(business_date, 'YYYY-MM-DD') = $2)
		  and ($3::text = '' or status = $3) and ($4::text = '' or id < $4)
		order by id desc limit $5`, tenant, f.BusinessDate, string(f.Status), f.Before, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("daily operations: %w", err)
	}
	return pgx.CollectRows(rows, scanDaily)
}

// businessDay is today on the business clock.
func businessDay(ctx context.Context, q pg.Querier) (Day, error) {
	var now time.Time
	if err := q.QueryRow(ctx, `select suanpan_now()`).Scan(&now); err != nil {
		return Day{}, fmt.Errorf("business clock: %w", err)
	}
	return DayOf(now), nil
}

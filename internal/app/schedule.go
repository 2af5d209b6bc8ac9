package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/workflows"
)

// The Schedule that starts the daily operations: half past ten in Shanghai, when
// Alipay's bills (from 9:00) and WeChat Pay's (from 10:00) are there.
const (
	ScheduleID   = "daily-round"
	ScheduleCron = "30 10 * * *"
	ScheduleZone = "Asia/Shanghai"
)

// EnsureSchedule makes the Schedule of the daily operations, or leaves the one
// that is there as it is. Idempotent.
func EnsureSchedule(ctx context.Context, cfg config.Core, log *slog.Logger) error {
	c, err := DialTemporal(cfg, noPayloads{}, log)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID:            ScheduleID,
		Spec:          client.ScheduleSpec{CronExpressions: []string{ScheduleCron}, TimeZoneName: ScheduleZone},
		Overlap:       enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		CatchupWindow: Retention,
		Action: &client.ScheduleWorkflowAction{
			ID:        workflows.DailyRoundType,
			Workflow:  workflows.DailyRoundType,
			TaskQueue: workflows.Queue,
		},
		Note: "Starts the daily operations of every tenant: reconciliation and settlement.",
	})
	if err != nil && !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return fmt.Errorf("schedule %s at %s: %w", ScheduleID, cfg.TemporalAddress, err)
	}
	return nil
}

package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
)

// The commands of this file prepare and mend a running platform. Each reads the
// database and Temporal from the environment, does one thing, and ends.

// quiet keeps the libraries' chatter out of a command's output.
func quiet(p process) *slog.Logger {
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func migrateCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database and the Temporal namespace to what this build needs",
		Long: "Applies the migrations this build knows, makes the Temporal namespace and its search attributes, and\n" +
			"the Schedule of the daily operations. Safe to run again and beside a running platform.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadTool(p.environ)
			if err != nil {
				return err
			}
			from, to, err := app.Migrate(cmd.Context(), cfg.DatabaseURL)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "database: schema %d → %d\n", from, to)
			if err := app.PrepareTemporal(cmd.Context(), cfg.Core, quiet(p)); err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "temporal: namespace %s with its search attributes\n", cfg.TemporalNamespace)
			return ensureSchedule(cmd, p, cfg.Core)
		},
	}
}

func scheduleCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "schedule",
		Short: "Make the Temporal Schedule that starts the daily operations",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadTool(p.environ)
			if err != nil {
				return err
			}
			return ensureSchedule(cmd, p, cfg.Core)
		},
	}
}

func ensureSchedule(cmd *cobra.Command, p process, cfg config.Core) error {
	if err := app.EnsureSchedule(cmd.Context(), cfg, quiet(p)); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "schedule: %s at %s (%s)\n", app.ScheduleID, app.ScheduleCron, app.ScheduleZone)
	return nil
}

func redriveCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "redrive",
		Short: "Start the workflow of every object that is not final",
		Long: "For every payment, refund, withdrawal, reconciliation and daily operation that is not final: starts its\n" +
			"workflow if none runs. Each goes on from the state of its row, so nothing is done twice.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadVault(p.environ)
			if err != nil {
				return err
			}
			n, err := app.Redrive(cmd.Context(), cfg, quiet(p))
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "unfinished objects: %d; each has a running workflow now\n", n)
			return nil
		},
	}
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/ledger"
)

func verifyCommand(p process) *cobra.Command {
	var tenantID string
	var asJSON bool
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Check every invariant of the books on one snapshot; exit status 1 if one is broken",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadTool(p.environ)
			if err != nil {
				return err
			}
			opts := ledger.VerifyOptions{Tenant: tenantID}
			if !asJSON {
				opts.Progress = func(r ledger.Result) { printResult(p, r) }
			}
			report, err := app.Verify(cmd.Context(), cfg.Core, opts)
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(p.stdout)
				encoder.SetIndent("", "  ")
				if err := encoder.Encode(report); err != nil {
					return err
				}
			}
			if !report.Sound {
				return errors.New("the books are not sound: see the broken invariants above")
			}
			if !asJSON {
				fmt.Fprintf(p.stdout, "sound: %d invariants hold on the snapshot of %s\n",
					len(report.Results), report.Snapshot.Format("2006-01-02 15:04:05 -0700"))
			}
			return nil
		},
	}
	verify.Flags().StringVar(&tenantID, "tenant", "", "check one tenant only")
	verify.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return verify
}

func printResult(p process, r ledger.Result) {
	mark := "ok    "
	if r.Broken > 0 {
		mark = "BROKEN"
	}
	fmt.Fprintf(p.stdout, "%s %-4s %-44s %9d checked\n", mark, r.ID, r.Name, r.Checked)
	for _, b := range r.Breaks {
		fmt.Fprintf(p.stdout, "       %s %s: %s\n", b.TenantID, b.Subject, b.Detail)
	}
	if more := r.Broken - int64(len(r.Breaks)); more > 0 {
		fmt.Fprintf(p.stdout, "       and %d more\n", more)
	}
}

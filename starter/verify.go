package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/ledger"
)

// verifyFlags are what the command line says.
type verifyFlags struct {
	tenant    string
	asJSON    bool
	since     string
	anchors   string
	deep      bool
	publicKey string
}

func verifyCommand(p process) *cobra.Command {
	var flags verifyFlags
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Check every invariant of the books on one snapshot; exit status 1 if one is broken",
		Long: "Walks all entries once, in the order of booking, and recomputes every balance and every seal. With --anchors\n" +
			"the seals are judged by what was exported, and a change is located: the seal, the entry and the posting.\n" +
			"With --since only what came after the seals of an earlier sound report is walked, and invariants outside the\n" +
			"ledger are left out.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := flags.options(p)
			if err != nil {
				return err
			}
			report, err := flags.verify(cmd.Context(), p, opts)
			if err != nil {
				return err
			}
			return flags.tell(p, report)
		},
	}
	verify.Flags().StringVar(&flags.tenant, "tenant", "", "check one tenant only")
	verify.Flags().BoolVar(&flags.asJSON, "json", false, "print the report as JSON; --since reads it")
	verify.Flags().StringVar(&flags.since, "since", "", "file with the JSON report of an earlier run: go on from its seals")
	verify.Flags().StringVar(&flags.anchors, "anchors", "", "folder of anchors, from `starter anchor export`")
	verify.Flags().BoolVar(&flags.deep, "deep", false,
		"also open everything that is sealed, and look for secrets that are not; needs SUANPAN_MASTER_KEY_FILE")
	verify.Flags().StringVar(&flags.publicKey, "public-key", "", "file with the public key of the anchors")
	verify.MarkFlagsRequiredTogether("anchors", "public-key")
	return verify
}

func (f verifyFlags) verify(ctx context.Context, p process, opts ledger.VerifyOptions) (ledger.Report, error) {
	if f.deep {
		cfg, err := config.LoadVault(p.environ)
		if err != nil {
			return ledger.Report{}, err
		}
		return app.VerifyDeep(ctx, cfg, opts)
	}
	cfg, err := config.LoadTool(p.environ)
	if err != nil {
		return ledger.Report{}, err
	}
	return app.Verify(ctx, cfg.Core, opts)
}

func (f verifyFlags) options(p process) (ledger.VerifyOptions, error) {
	opts := ledger.VerifyOptions{Tenant: f.tenant, Walked: func(tenant string, entries int64) {
		if entries%100_000 == 0 {
			fmt.Fprintf(p.stderr, "%d entries walked, in %s\n", entries, tenant)
		}
	}}
	if !f.asJSON {
		opts.Progress = func(r ledger.Result) { printResult(p, r) }
	}
	if f.since != "" {
		text, err := os.ReadFile(f.since)
		if err != nil {
			return opts, err
		}
		var before ledger.Report
		if err := json.Unmarshal(text, &before); err != nil {
			return opts, fmt.Errorf("%s is not a report of `starter verify --json`: %w", f.since, err)
		}
		if len(before.Seals) == 0 {
			return opts, fmt.Errorf("%s names no seals to go on from: run without --since", f.since)
		}
		opts.Since = before.Seals
	}
	if f.anchors != "" {
		pins, err := app.ReadAnchors(f.anchors, f.publicKey)
		if err != nil {
			return opts, err
		}
		opts.Pins = pins
		fmt.Fprintf(p.stderr, "%d anchors read\n", pins.Count())
		for _, kind := range pins.Silent() {
			fmt.Fprintf(p.stderr, "they prove nothing about the %s: all were made before anchors had it; export another one\n", kind)
		}
	}
	return opts, nil
}

func (f verifyFlags) tell(p process, report ledger.Report) error {
	if f.asJSON {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(report); err != nil {
			return err
		}
	}
	if !report.Sound {
		return errors.New("the books are not sound: see the broken invariants above")
	}
	if !f.asJSON {
		fmt.Fprintf(p.stdout, "sound: %d invariants hold on the snapshot of %s, %d entries walked\n",
			len(report.Results), report.Snapshot.Format("2006-01-02 15:04:05 -0700"), report.Entries)
	}
	return nil
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

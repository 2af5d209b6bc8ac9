package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
)

func replayCommand(p process) *cobra.Command {
	var opts app.ReplayOptions
	replay := &cobra.Command{
		Use:   "replay",
		Short: "Replay the histories of a namespace with this build; exit status 1 if one cannot go on",
		Long: "Reads every history that Temporal retains, or the files of a folder, and replays each with this build's\n" +
			"workflows, as a worker does that takes them over. Run it with a new build before its workers start: what\n" +
			"does not replay would be stuck. It changes nothing.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg config.Vault
			if opts.Dir == "" {
				var err error
				if cfg, err = config.LoadVault(p.environ); err != nil {
					return err
				}
			}
			report, err := app.Replay(cmd.Context(), cfg, quiet(p), opts)
			if err != nil {
				return err
			}
			fmt.Fprint(p.stdout, report.Table())
			for _, failure := range report.Failures {
				fmt.Fprintln(p.stdout, "cannot go on:", failure)
			}
			if len(report.Failures) > 0 {
				return fmt.Errorf("%d of %d histories do not replay with this build", len(report.Failures), report.Replayed)
			}
			fmt.Fprintf(p.stdout, "all %d histories replay with this build\n", report.Replayed)
			return nil
		},
	}
	replay.Flags().StringVar(&opts.Query, "query", "", "Temporal list filter, such as \"ExecutionStatus = 'Running'\"")
	replay.Flags().StringVar(&opts.Dir, "dir", "", "replay the files of this folder instead of a namespace")
	replay.Flags().StringVar(&opts.Save, "save", "", "folder that receives every history that was read, decrypted")
	return replay
}

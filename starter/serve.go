package main

import (
	"github.com/spf13/cobra"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/failpoint"
)

func serveCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve the HTTP API",
		Long:  "Serves the HTTP API until SIGTERM. Any number may run; docs/configuration.md lists the variables.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadAPI(p.environ)
			if err != nil {
				return err
			}
			ctx := failpoint.Load(cmd.Context(), p.environ)
			return app.RunAPI(ctx, cfg, app.NewLogger(p.stderr, cfg.Core))
		},
	}
}

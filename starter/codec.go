package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
)

// codecCommand serves the endpoint at which operators read what is in workflows.
func codecCommand(p process) *cobra.Command {
	codec := &cobra.Command{
		Use:   "codec",
		Short: "Decrypt payloads for the Temporal Web UI of operators who have a token",
		Long: "Serves Temporal's remote codec protocol (POST /decode) until SIGTERM, for operators in\n" +
			"SUANPAN_CODEC_OPERATORS_FILE. Each call is logged with the operator's name. docs/privacy.md says how the\n" +
			"Web UI is told.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadCodec(p.environ)
			if err != nil {
				return err
			}
			return app.RunCodec(cmd.Context(), cfg, app.NewLogger(p.stderr, cfg.Core))
		},
	}
	codec.AddCommand(newCodecTokenCommand(p))
	return codec
}

func newCodecTokenCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "new-token NAME",
		Short: "Draw a token for an operator; it is shown once, its line goes into SUANPAN_CODEC_OPERATORS_FILE",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			token, line, err := app.NewCodecToken(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.stdout, "token, for %s alone: %s\nline of the file: %s", args[0], token, line)
			return err
		},
	}
}

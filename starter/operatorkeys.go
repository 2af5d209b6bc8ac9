package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
)

// operatorKeyCommand groups what is done with the keys of those who run the platform.
// They come from here and not from the API, which needs one to make the first tenant.
func operatorKeyCommand(p process) *cobra.Command {
	keys := &cobra.Command{Use: "operator-key", Short: "Make, list and revoke the keys that make tenants and their first keys"}
	keys.AddCommand(newOperatorKeyCommand(p), listOperatorKeysCommand(p), revokeOperatorKeyCommand(p))
	return keys
}

func newOperatorKeyCommand(p process) *cobra.Command {
	var scopes []string
	var lifetime time.Duration
	command := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a key and print its secret, this once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.LoadTool(p.environ)
			if err != nil {
				return err
			}
			keyID, secret, err := app.NewOperatorKey(cmd.Context(), cfg.Core, args[0], scopes, lifetime)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stderr, "operator key %s; its secret is shown this once and kept as a digest only:\n", keyID)
			_, err = fmt.Fprintln(p.stdout, secret)
			return err
		},
	}
	command.Flags().StringSliceVar(&scopes, "scopes", app.OperatorScopes(), "what it may do")
	command.Flags().DurationVar(&lifetime, "expires-in", 0, "how long it is good, such as 2160h; for ever unless given")
	return command
}

func listOperatorKeysCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys, newest first, without their secrets",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadTool(p.environ)
			if err != nil {
				return err
			}
			lines, err := app.OperatorKeys(cmd.Context(), cfg.Core)
			for _, line := range lines {
				fmt.Fprintln(p.stdout, line)
			}
			return err
		},
	}
}

func revokeOperatorKeyCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End a key for good; every instance refuses it within 5 seconds",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.LoadTool(p.environ)
			if err != nil {
				return err
			}
			return app.RevokeOperatorKey(cmd.Context(), cfg.Core, args[0])
		},
	}
}

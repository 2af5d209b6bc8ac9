package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/devseed"
)

// devSeedCommand gives a stack that something else runs (Docker) what
// `starter dev` gives its own: a tenant, an API key, accounts at the sandbox.
func devSeedCommand(p process) *cobra.Command {
	var request devseed.Request
	seed := &cobra.Command{
		Use: "seed", Short: "Make a tenant with an API key and accounts at a running sandbox", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadAPI(p.environ)
			if err != nil {
				return err
			}
			if !cfg.Dev() {
				return fmt.Errorf("starter dev seed is for development: set SUANPAN_ENV=dev")
			}
			request.DatabaseURL, request.MasterKeyFile = cfg.DatabaseURL, cfg.MasterKeyFile
			if _, err := devseed.Seed(cmd.Context(), request); err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.stdout, "tenant, API key and sandbox accounts are in %s\n", request.File)
			return err
		},
	}
	seed.Flags().StringVar(&request.SandboxURL, "sandbox", "http://127.0.0.1:8900", "base of the sandbox")
	seed.Flags().StringSliceVar(&request.APIURLs, "api", []string{"http://127.0.0.1:8080"}, "bases of the APIs")
	seed.Flags().StringVar(&request.TemporalUI, "temporal-ui", "http://127.0.0.1:8233", "base of the Temporal Web UI")
	seed.Flags().StringVar(&request.File, "file", ".data/dev.json", "where to write the API key")
	return seed
}

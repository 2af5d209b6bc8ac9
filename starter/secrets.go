package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
)

// secretsCommand groups what is done with the keys under which secrets are sealed;
// docs/runbooks/master-key.md says when.
func secretsCommand(p process) *cobra.Command {
	secrets := &cobra.Command{Use: "secrets", Short: "Make, rotate and look after the keys under which secrets are sealed"}
	secrets.AddCommand(newMasterKeyCommand(p), secretsStatusCommand(p), rewrapCommand(p), rotateDataKeysCommand(p),
		rotatePayloadKeyCommand(p), sealPlainCommand(p), importKeysCommand(p))
	return secrets
}

func newMasterKeyCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "new-master-key FILE",
		Short: "Write a fresh master key into a file that does not exist yet, readable for its owner only",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			err := app.NewMasterKey(args[0])
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s exists: a master key is never overwritten, what it sealed would be lost", args[0])
			}
			if err == nil {
				_, err = fmt.Fprintf(p.stdout, "a master key is in %s; keep a copy apart from the database's backups "+
					"(docs/runbooks/master-key.md)\n", args[0])
			}
			return err
		},
	}
}

// withVault runs a command on the database and the master key of the environment.
func withVault(p process, run func(cmd *cobra.Command, v *app.Vault, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cfg, err := config.LoadVault(p.environ)
		if err != nil {
			return err
		}
		v, err := app.OpenVault(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		defer v.Close()
		return run(cmd, v, args)
	}
}

func secretsStatusCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "List the master keys that the database needs, and whether the file has them",
		Args:  cobra.NoArgs,
		RunE: withVault(p, func(cmd *cobra.Command, v *app.Vault, _ []string) error {
			uses, err := v.InUse(cmd.Context())
			if err != nil {
				return err
			}
			missing := false
			for _, use := range uses {
				held := "in the file"
				if !use.Held {
					held, missing = "MISSING", true
				}
				fmt.Fprintf(p.stdout, "%s wraps %d data keys: %s\n", use.MasterKey, use.DataKeys, held)
			}
			if missing {
				return errors.New("a master key is missing from SUANPAN_MASTER_KEY_FILE: what it wraps cannot be opened")
			}
			return nil
		}),
	}
}

func rewrapCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "rewrap",
		Short: "Wrap all data keys under the first master key of the file",
		Long: "The second half of a rotation of the master key. Safe beside a running platform whose processes all hold\n" +
			"both keys, and safe to run again.",
		Args: cobra.NoArgs,
		RunE: withVault(p, func(cmd *cobra.Command, v *app.Vault, _ []string) error {
			n, err := v.Rewrap(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.stdout, "rewrapped %d data keys\n", n)
			return err
		}),
	}
}

func rotateDataKeysCommand(p process) *cobra.Command {
	var only string
	rotate := &cobra.Command{
		Use:   "rotate-data-keys",
		Short: "Give every tenant a new data key and seal what it keeps under it",
		Args:  cobra.NoArgs,
		RunE: withVault(p, func(cmd *cobra.Command, v *app.Vault, _ []string) error {
			tenants, resealed, err := v.RotateDataKeys(cmd.Context(), only)
			if err != nil {
				return fmt.Errorf("after %d tenants: %w", tenants, err)
			}
			_, err = fmt.Fprintf(p.stdout, "tenants: %d; values sealed anew: %d\n", tenants, resealed)
			return err
		}),
	}
	rotate.Flags().StringVar(&only, "tenant", "", "only this tenant")
	return rotate
}

func rotatePayloadKeyCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate-payload-key",
		Short: "Encrypt what Temporal keeps under a new key from now on; earlier keys stay for reading",
		Args:  cobra.NoArgs,
		RunE: withVault(p, func(cmd *cobra.Command, v *app.Vault, _ []string) error {
			keyID, err := v.RotatePayloadKey(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.stdout, "payloads are encrypted under %s, by every process within half a minute\n", keyID)
			return err
		}),
	}
}

func sealPlainCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "seal",
		Short: "Seal what earlier versions kept in plain: payees, payers, signing secrets of webhooks, bills",
		Long: "Run it once every process is of this version: earlier ones cannot open what is sealed. Safe beside a running\n" +
			"platform, and safe to stop and run again; `starter verify --deep` says when nothing is left.",
		Args: cobra.NoArgs,
		RunE: withVault(p, func(cmd *cobra.Command, v *app.Vault, _ []string) error {
			sealed, err := v.SealPlain(cmd.Context())
			for _, what := range slices.Sorted(maps.Keys(sealed)) {
				fmt.Fprintf(p.stdout, "%s sealed: %d\n", what, sealed[what])
			}
			return err
		}),
	}
}

func importKeysCommand(p process) *cobra.Command {
	var account, dir string
	imports := &cobra.Command{
		Use:   "import",
		Short: "Enter a channel account's key files, as earlier versions kept them",
		Long: "Reads private_key.pem, provider_public_key.pem and, at WeChat Pay, api_v3.key, checks them and seals them as\n" +
			"the account's current keys. The serial and the id of the provider's key are taken from the account's\n" +
			"parameters. Delete the files afterwards.",
		Args: cobra.NoArgs,
		RunE: withVault(p, func(cmd *cobra.Command, v *app.Vault, _ []string) error {
			entered, err := v.Import(cmd.Context(), account, dir)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.stdout, "%s: entered as %s, fingerprint %s\n", account, entered.ID, entered.Fingerprint)
			return err
		}),
	}
	imports.Flags().StringVar(&account, "account", "", "id of the channel account")
	imports.Flags().StringVar(&dir, "dir", "", "folder with the files")
	for _, required := range []string{"account", "dir"} {
		if err := imports.MarkFlagRequired(required); err != nil {
			panic(err) // the flag was just defined
		}
	}
	return imports
}

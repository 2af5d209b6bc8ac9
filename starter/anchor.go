package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
)

func sealCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "seal",
		Short: "Seal what is booked until now; every running instance does so by itself every few seconds",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadTool(p.environ)
			if err != nil {
				return err
			}
			n, err := app.Seal(cmd.Context(), cfg.Core)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "%d seals made\n", n)
			return nil
		},
	}
}

func anchorCommand(p process) *cobra.Command {
	anchor := &cobra.Command{
		Use:   "anchor",
		Short: "Take signed hashes of the sealed books and audit log out of the database, to judge it by",
	}
	anchor.AddCommand(anchorKeyCommand(), anchorPublicKeyCommand(p), anchorExportCommand(p))
	return anchor
}

func anchorKeyCommand() *cobra.Command {
	var private, public string
	command := &cobra.Command{
		Use:   "key",
		Short: "Make the Ed25519 key that signs anchors, as two PEM files",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return app.NewAnchorKey(private, public) },
	}
	command.Flags().StringVar(&private, "private-key", "", "file to write the private key to; keep it where no database user can read it")
	command.Flags().StringVar(&public, "public-key", "", "file to write the public key to")
	return required(command, "private-key", "public-key")
}

func anchorPublicKeyCommand(p process) *cobra.Command {
	var private string
	command := &cobra.Command{
		Use:   "public-key",
		Short: "Print the public half of a private key file",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := app.PublicAnchorKey(private)
			if err == nil {
				fmt.Fprintf(p.stdout, "%s", text)
			}
			return err
		},
	}
	command.Flags().StringVar(&private, "private-key", "", "the private key file")
	return required(command, "private-key")
}

func anchorExportCommand(p process) *cobra.Command {
	var dir, private string
	command := &cobra.Command{
		Use:   "export",
		Short: "Seal, sign the hashes of all new seals, and write the next anchor; run it daily",
		Long: "Writes NAME.anchor.json and its signature NAME.anchor.sig into a folder. Copy both to where nobody who can\n" +
			"write the database can write. An anchor continues the ones in the folder, so keep them together.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadTool(p.environ)
			if err != nil {
				return err
			}
			name, seals, err := app.ExportAnchor(cmd.Context(), cfg.Core, dir, private)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "anchor %s: %d new seals\n", name, seals)
			return nil
		},
	}
	command.Flags().StringVar(&dir, "dir", "", "the folder of all anchors")
	command.Flags().StringVar(&private, "private-key", "", "the private key file")
	return required(command, "dir", "private-key")
}

func required(command *cobra.Command, flags ...string) *cobra.Command {
	for _, flag := range flags {
		cobra.CheckErr(command.MarkFlagRequired(flag)) // fails only for a flag that does not exist
	}
	return command
}

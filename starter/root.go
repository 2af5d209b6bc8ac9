package main

import "github.com/spf13/cobra"

// rootCommand lists the commands.
func rootCommand(p process) *cobra.Command {
	root := &cobra.Command{
		Use:           "starter",
		Short:         "Suanpan, a cloud account and payment platform",
		SilenceUsage:  true,
		SilenceErrors: true, // main prints them once
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.AddCommand(
		anchorCommand(p),
		demoCommand(p),
		devCommand(p),
		migrateCommand(p),
		operatorKeyCommand(p),
		redriveCommand(p),
		replayCommand(p),
		scheduleCommand(p),
		sealCommand(p),
		secretsCommand(p),
		codecCommand(p),
		serveCommand(p),
		verifyCommand(p),
		versionCommand(p),
	)
	return root
}

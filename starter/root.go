package main

import (
	"os/user"

	"github.com/spf13/cobra"

	"github.com/suanpan/suanpan/internal/app"
)

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
		acting(operatorKeyCommand(p)),
		acting(redriveCommand(p)),
		replayCommand(p),
		scheduleCommand(p),
		sealCommand(p),
		acting(secretsCommand(p)),
		codecCommand(p),
		serveCommand(p),
		verifyCommand(p),
		versionCommand(p),
	)
	return root
}

// acting makes what a command and those below it change the command's in the audit
// log. What serves others is not: it names them.
func acting(command *cobra.Command) *cobra.Command {
	command.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		who := "unknown"
		if current, err := user.Current(); err == nil {
			who = current.Username
		}
		cmd.SetContext(app.ActingOnCommandLine(cmd.Context(), cmd.CommandPath(), who))
	}
	return command
}

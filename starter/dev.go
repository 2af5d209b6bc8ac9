package main

import (
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/suanpan/suanpan/internal/devstack"
)

// progressDescriptor is where a detached stack tells its parent what happens.
const progressDescriptor = 3

// devFlags are the flags all dev commands share.
type devFlags struct {
	data     string
	portBase int
	detach   bool
	progress bool // hidden: we are the detached one
}

func devCommand(p process) *cobra.Command {
	var flags devFlags
	dev := &cobra.Command{
		Use:   "dev",
		Short: "Bring up the whole platform for development and keep it up",
		Long: "Brings up PostgreSQL, Temporal with its Web UI, the sandbox, two workers and two APIs, and keeps them\n" +
			"up until Ctrl-C. SUANPAN_DATABASE_URL and SUANPAN_TEMPORAL_ADDRESS name services to use instead.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flags.detach {
				return detach(cmd, p, flags)
			}
			return runStack(cmd, p, flags)
		},
	}
	dev.PersistentFlags().StringVar(&flags.data, "data", ".data", "folder for everything the stack keeps")
	dev.Flags().IntVar(&flags.portBase, "port-base", 0, "use nine consecutive ports from this one")
	dev.Flags().BoolVar(&flags.detach, "detach", false, "return once everything is up and leave it running")
	dev.Flags().BoolVar(&flags.progress, "progress", false, "")
	_ = dev.Flags().MarkHidden("progress") // the only error is an unknown name
	dev.AddCommand(devStopCommand(p, &flags), devStatusCommand(p, &flags), devCleanCommand(p, &flags), devSeedCommand(p))
	return dev
}

func devStopCommand(p process, flags *devFlags) *cobra.Command {
	return &cobra.Command{
		Use: "stop", Short: "Stop the stack, or what a killed one left", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return devstack.Stop(cmd.Context(), flags.data, p.stdout)
		},
	}
}

func devStatusCommand(p process, flags *devFlags) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show what runs; exit status 1 unless everything is up", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			up, err := devstack.PrintStatus(flags.data, p.stdout)
			if err == nil && !up {
				err = errors.New("the stack is not up")
			}
			return err
		},
	}
}

func devCleanCommand(p process, flags *devFlags) *cobra.Command {
	return &cobra.Command{
		Use: "clean", Short: "Stop the stack and remove everything it kept", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return devstack.Clean(cmd.Context(), flags.data, p.stdout)
		},
	}
}

func detach(cmd *cobra.Command, p process, flags devFlags) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"dev", "--progress", "--data", flags.data, "--port-base", strconv.Itoa(flags.portBase)}
	return devstack.Detach(cmd.Context(), self, args, flags.data, p.stdout)
}

func runStack(cmd *cobra.Command, p process, flags devFlags) (err error) {
	root, err := devstack.FindRoot(".")
	if err != nil {
		return err
	}
	options := devstack.Options{Root: root, DataDir: flags.data, Ports: devstack.DefaultPorts(),
		Environ: p.environ, Out: p.stdout, Migrate: migrateStack(p), Seed: seedStack}
	if flags.portBase != 0 {
		options.Ports = devstack.PortsFrom(flags.portBase)
	}
	if flags.progress {
		syscall.CloseOnExec(progressDescriptor) // or every child would hold it open
		parent := os.NewFile(progressDescriptor, "progress")
		both := &tee{log: p.stdout, parent: parent}
		options.Out, options.OnUp = both, both.leave
		defer func() {
			if err != nil {
				_, _ = io.WriteString(both, "starter: "+err.Error()+"\n")
			}
			both.leave()
		}()
	}
	return devstack.Run(cmd.Context(), options)
}

package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/suanpan/suanpan/internal/demo"
)

func demoCommand(p process) *cobra.Command {
	var data string
	options := demo.Options{Out: p.stdout}
	command := &cobra.Command{
		Use:   "demo",
		Short: "Run the main job on a development stack and check every fen",
		Long: "Collects, splits, refunds, withdraws and reconciles through the public API of a running development\n" +
			"stack, loses replies and pays late on purpose, and compares the books with the providers' own.\n" +
			"Exit status 1 on the first fen that is not where it must be.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := options.ReadDevFile(filepath.Join(data, "dev.json")); err != nil {
				return err
			}
			if file, ok := p.stdout.(*os.File); ok {
				info, err := file.Stat()
				options.Terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
			}
			return demo.Run(cmd.Context(), options)
		},
	}
	flags := command.Flags()
	flags.StringVar(&data, "data", ".data", "folder of the development stack; its dev.json says where everything is")
	flags.StringSliceVar(&options.APIURLs, "api", nil, "URLs of the APIs, instead of those in dev.json")
	flags.StringVar(&options.APIKey, "key", "", "API key, instead of that in dev.json")
	flags.StringVar(&options.SandboxURL, "sandbox", "", "URL of the sandbox, instead of that in dev.json")
	flags.StringVar(&options.TemporalUI, "temporal-ui", "", "URL of the Temporal Web UI, instead of that in dev.json")
	return command
}

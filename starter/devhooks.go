package main

import (
	"context"
	"errors"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/devseed"
	"github.com/suanpan/suanpan/internal/devstack"
)

// migrateStack is what `starter migrate` does, for the stack.
func migrateStack(p process) func(context.Context, devstack.Env) error {
	return func(ctx context.Context, env devstack.Env) error {
		if _, _, err := app.Migrate(ctx, env.API.DatabaseURL); err != nil {
			return err
		}
		if err := app.PrepareTemporal(ctx, env.API.Core, quiet(p)); err != nil {
			return err
		}
		return app.EnsureSchedule(ctx, env.API.Core, quiet(p))
	}
}

func seedStack(ctx context.Context, env devstack.Env) error {
	_, err := devseed.Seed(ctx, devseed.Request{
		DatabaseURL:   env.API.DatabaseURL,
		SandboxURL:    env.SandboxURL,
		APIURLs:       env.APIURLs,
		TemporalUI:    env.TemporalUI,
		CodecURL:      env.CodecURL(),
		MasterKeyFile: env.API.MasterKeyFile,
		File:          env.DevFile,
	})
	return errors.Join(err, app.EnsureCodecOperator("developer", env.Codec.Operators, env.CodecToken))
}

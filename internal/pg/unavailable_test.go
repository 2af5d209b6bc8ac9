package pg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/pg"
)

func TestIsUnavailableTellsLaterFromNever(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"08006", "25006", "40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "57P03"} {
		require.True(t, pg.IsUnavailable(fmt.Errorf("list: %w", &pgconn.PgError{Code: code})), code)
	}
	for _, code := range []string{"23505", "23503", "23514", "42501", "42703", "22P02", "SUP01"} {
		require.False(t, pg.IsUnavailable(&pgconn.PgError{Code: code}), code)
	}
	require.True(t, pg.IsUnavailable(fmt.Errorf("read: %w", &net.OpError{Op: "read", Err: errors.New("connection reset by peer")})))
	require.True(t, pg.IsUnavailable(fmt.Errorf("create refund: %w", io.ErrUnexpectedEOF)), "the server died in the middle of its answer")
	require.True(t, pg.IsUnavailable(fmt.Errorf("list: %w", puddle.ErrClosedPool)), "this process is going down")
	require.False(t, pg.IsUnavailable(errors.New("anything else")))
	require.False(t, pg.IsUnavailable(nil))
	_, err := pgconn.Connect(context.Background(), "postgres://127.0.0.1:1/none")
	require.True(t, pg.IsUnavailable(err), "%v", err)
}

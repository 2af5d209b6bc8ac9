package pg

import (
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
)

// IsUnavailable reports whether err says that the database cannot answer now,
// so that the same work may succeed later: no connection, shutting down, out of
// resources, read only, a lock or a statement that took too long.
func IsUnavailable(err error) bool {
	var (
		pgErr   *pgconn.PgError
		connect *pgconn.ConnectError
		netErr  *net.OpError
	)
	// The connection ended in the middle of an answer, or this process is going down.
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, puddle.ErrClosedPool) {
		return true
	}
	if errors.As(err, &connect) || errors.As(err, &netErr) || pgconn.Timeout(err) || pgconn.SafeToRetry(err) {
		return true
	}
	if !errors.As(err, &pgErr) {
		return false
	}
	switch pgErr.Code {
	case "25006", "40001", "40P01", "55P03", "57014":
		return true
	}
	return strings.HasPrefix(pgErr.Code, "08") || strings.HasPrefix(pgErr.Code, "53") || strings.HasPrefix(pgErr.Code, "57P")
}

package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// Page keeps the sessions of one page, for all processes that serve it. It is safe for
// concurrent use. Times are real, not the business clock's.
type Page struct {
	DB *pg.DB
	// Name is stored with each session; a token of another page is unknown.
	Name string
	// Idle is how long a session lasts without being used, Life how long at all.
	Idle, Life time.Duration
}

// tokenBytes is the length of a token before encoding: 256 bits.
const tokenBytes = 32

// Begin makes a session of subject and returns its token, which exists only in this
// answer. What is over at this page is forgotten on the way. Not idempotent.
func (p Page) Begin(ctx context.Context, subject string) (token string, err error) {
	var random [tokenBytes]byte
	rand.Read(random[:]) // never fails: without entropy the process ends
	token = base64.RawURLEncoding.EncodeToString(random[:])
	err = p.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `delete from sessions where page = $1 and (`+over+`)`, p.Name, p.Idle, p.Life); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `insert into sessions (token_hash, page, subject) values ($1, $2, $3)`, digest(token), p.Name, subject)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("begin a session: %w", err)
	}
	return token, nil
}

// over says that a session is, with $2 the idle time and $3 the life.
const over = `seen_at <= clock_timestamp() - $2::interval or created_at <= clock_timestamp() - $3::interval`

// Subject tells whose session the token is, and notes that it was used; found is false
// for a token that is unknown, of another page, or over.
func (p Page) Subject(ctx context.Context, token string) (subject string, found bool, err error) {
	err = p.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			update sessions set seen_at = clock_timestamp()
			where page = $1 and token_hash = $4 and not (`+over+`) returning subject`,
			p.Name, p.Idle, p.Life, digest(token)).Scan(&subject)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("find a session: %w", err)
	}
	return subject, true, nil
}

// End ends the session of the token. Idempotent.
func (p Page) End(ctx context.Context, token string) error {
	return p.end(ctx, `delete from sessions where page = $1 and token_hash = $2`, digest(token))
}

// EndAll ends every session of the subject at this page. Idempotent.
func (p Page) EndAll(ctx context.Context, subject string) error {
	return p.end(ctx, `delete from sessions where page = $1 and subject = $2`, subject)
}

func (p Page) end(ctx context.Context, sql string, which any) error {
	err := p.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql, p.Name, which)
		return err
	})
	if err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

func digest(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

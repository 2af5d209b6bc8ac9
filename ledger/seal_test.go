package ledger_test

import (
	"context"
	"crypto/ed25519"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/chain"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/ledger"
)

func (b *bench) seal() int {
	b.t.Helper()
	n, err := ledger.SealNow(context.Background(), b.DB)
	require.NoError(b.t, err)
	return n
}

// anchorChain is a folder of anchors, in memory.
type anchorChain struct {
	public  ed25519.PublicKey
	private ed25519.PrivateKey
	pins    *chain.Pins
	texts   [][]byte
	signs   [][]byte
}

func newAnchorChain(t testing.TB) *anchorChain {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	return &anchorChain{public: public, private: private, pins: &chain.Pins{}}
}

func (c *anchorChain) export(b *bench) {
	b.t.Helper()
	require.NoError(b.t, b.DB.Snapshot(context.Background(), func(tx pgx.Tx) error {
		var previous []byte
		if len(c.texts) > 0 {
			previous = c.texts[len(c.texts)-1]
		}
		books, err := ledger.Chains(context.Background(), tx)
		require.NoError(b.t, err)
		anchor, err := chain.MakeAnchor(time.Now(), c.pins, previous, books)
		require.NoError(b.t, err)
		text, signature, err := anchor.Sign(c.private)
		require.NoError(b.t, err)
		require.NoError(b.t, c.pins.Add(c.public, text, signature))
		c.texts, c.signs = append(c.texts, text), append(c.signs, signature)
		return nil
	}))
}

// verify runs over one connection and over three, which must say the same.
func (b *bench) verify(opts ledger.VerifyOptions) (report ledger.Report) {
	b.t.Helper()
	require.NoError(b.t, b.DB.Snapshot(context.Background(), func(tx pgx.Tx) (err error) {
		report, err = ledger.Verify(context.Background(), tx, opts)
		require.NoError(b.t, err)
		opts.Beside = b.DB.Beside
		ahead, err := ledger.Verify(context.Background(), tx, opts)
		require.Equal(b.t, comparable(report), comparable(ahead))
		return err
	}))
	return report
}

// comparable leaves out how long it took, and the order of what is found account by account.
func comparable(report ledger.Report) ledger.Report {
	report.Snapshot, report.Results = time.Time{}, slices.Clone(report.Results)
	for i := range report.Results {
		result := &report.Results[i]
		result.Took, result.Breaks = 0, slices.SortedFunc(slices.Values(result.Breaks), func(x, y ledger.Break) int {
			return strings.Compare(x.Subject+x.Detail, y.Subject+y.Detail)
		})
	}
	return report
}

// breaks returns the broken invariants' ids and what was said of C7.
func breaks(report ledger.Report) (ids []string, seals []string) {
	for _, result := range report.Results {
		if result.Broken > 0 {
			ids = append(ids, result.ID)
		}
		if result.ID == "C7" {
			for _, b := range result.Breaks {
				seals = append(seals, b.Subject+": "+b.Detail)
			}
		}
	}
	return ids, seals
}

func TestSealsCoverEverythingOnceAndContinue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Zero(t, b.seal(), "nothing to seal")
	b.mustPost(collect("p1", "mch_a", 500), collect("p2", "mch_b", 70))
	require.Equal(t, 1, b.seal())
	require.Zero(t, b.seal())
	b.mustPost(spend("r1", "mch_a", 100, ""))
	require.Equal(t, 1, b.seal())
	require.NoError(t, b.in(func(ctx context.Context, tx pgx.Tx) error {
		books, err := ledger.Chains(ctx, tx)
		require.NoError(t, err)
		seals, err := books.Seals(b.tenant, 0)
		require.NoError(t, err)
		require.Len(t, seals, 2)
		require.EqualValues(t, []int64{2, 1}, []int64{seals[0].Entries, seals[1].Entries})
		require.Equal(t, seals[0].Hash, seals[1].Prev)
		require.Equal(t, seals[0].To, seals[1].From)
		return nil
	}))
	require.ErrorContains(t, b.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into seals (tenant_id) values ('x')`)
		return err
	}), "permission denied")
	for _, sql := range []string{`update seals set hash = hash`, `delete from seals`, `delete from seal_balances`,
		`insert into seals (tenant_id, number, from_seq, to_seq, entries, prev_hash, hash, digests, booked_from, booked_to, sealed_at)
		 select tenant_id, 3, 1, 9, 1, hash, hash, '', now(), now(), now() from seals where number = 2`} {
		require.Error(t, b.DB.AsSystem(context.Background(), func(tx pgx.Tx) error {
			_, err := tx.Exec(context.Background(), sql)
			return err
		}), sql)
	}
	b.requireSound()
}

// Many transactions book and commit in another order than they took their seq,
// while two sealers run: no entry may appear below a seal that was made before.
func TestNoEntryAppearsBehindASeal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, stop := context.WithCancel(context.Background())
	var sealers, posters sync.WaitGroup
	for range 2 {
		sealers.Go(func() {
			for ctx.Err() == nil {
				if _, err := ledger.SealNow(ctx, b.DB); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for worker := range 6 {
		posters.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for i := range 60 {
				err := b.in(func(ctx context.Context, tx pgx.Tx) error {
					if _, err := ledger.Post(ctx, tx, b.tenant, collect(fmt.Sprintf("w%d-%d", worker, i), fmt.Sprintf("mch_%d", worker), 5)); err != nil {
						return err
					}
					// Others take a later seq and commit first.
					_, err := tx.Exec(ctx, `select pg_sleep($1)`, random.Float64()/50)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	posters.Wait()
	stop()
	sealers.Wait()
	// A sealer that was cut off may hold its lock for a moment longer.
	require.Eventually(t, func() bool {
		b.seal()
		var sealed int64
		return b.Pool.QueryRow(context.Background(), `select coalesce(sum(entries), 0) from seals`).Scan(&sealed) == nil && sealed == 360
	}, 10*time.Second, 10*time.Millisecond)
	report := b.verify(ledger.VerifyOptions{})
	require.True(t, report.Sound, "%+v", report)
	require.EqualValues(t, 360, report.Entries)
	require.Greater(t, report.Seals[0].Number, int64(3))
}

func TestSealingWaitsForWritersAndGivesUpInTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustPost(collect("p0", "mch_a", 5))
	require.NoError(t, b.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := ledger.Post(ctx, tx, b.tenant, collect("slow", "mch_b", 5))
		require.NoError(t, err)
		b.mustPostElsewhere(collect("fast", "mch_c", 5))
		short, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		n, err := ledger.SealNow(short, b.DB)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Zero(t, n)
		return nil
	}))
	require.Equal(t, 1, b.seal())
	b.requireSound()
}

func (b *bench) mustPostElsewhere(e ledger.Entry) { b.t.Helper(); b.mustPost(e) }

// tamperings is how many random edits TestEveryTamperingIsFoundAndLocated makes.
// The full run: go test ./ledger -run Tampering -tamperings 200 -seed 7.
var (
	tamperings = flag.Int("tamperings", 30, "random edits of sealed rows")
	tamperSeed = flag.Uint64("tamper-seed", 1, "seed of the random edits")
)

// tamperedColumns are the columns of what is sealed, with an expression that
// gives another value of the same type.
func tamperedColumns() map[string][]string {
	return map[string][]string{
		"entries": {
			"id = translate(id, '0123456789', '1234567890')", "seq = seq + 1000000", "kind = case kind when 'split' then 'settle' else 'split' end",
			"number = number || 'x'", "phase = phase || 'x'", "currency = 'USD'", "legs = legs + 1",
			"content_hash = sha256(content_hash)", "booked_at = booked_at + interval '1 microsecond'",
			"channel_date = coalesce(channel_date, date '2026-01-01') + 1", "reverses = id", `metadata = metadata || '{"x": "y"}'`,
		},
		"postings": {
			"entry_seq = entry_seq + 1000000", "leg = leg + 10",
			"account_id = (select min(id) from ledger_accounts a where a.id <> account_id)", "amount = amount + 1", "amount = -amount",
			"account_seq = coalesce(account_seq, 0) + 1, balance_after = coalesce(balance_after, 0)", "balance_after = coalesce(balance_after, 0) - 1, account_seq = coalesce(account_seq, 1)",
			"hold_id = coalesce(hold_id, '') || 'h'", "booked_at = booked_at + interval '1 microsecond'",
		},
	}
}

// tampering returns an edit of a random sealed row and what must be named.
func tampering(random *rand.Rand, seq, other int64) (name, sql string) {
	row := map[string]string{
		"entries": fmt.Sprintf("seq = %d", seq), "postings": fmt.Sprintf("entry_seq = %d and leg = %d", seq, 1+random.IntN(2)),
	}
	table := []string{"entries", "postings"}[random.IntN(2)]
	switch choice := random.IntN(10); {
	case choice < 6:
		columns := tamperedColumns()[table]
		column := columns[random.IntN(len(columns))]
		return table + ": " + column, fmt.Sprintf("update %s set %s where %s", table, column, row[table])
	case choice < 7:
		return "delete from " + table, fmt.Sprintf("delete from %s where %s", table, row[table])
	case choice < 8:
		return "delete an entry whole", fmt.Sprintf("delete from postings where entry_seq = %d; delete from entries where seq = %d", seq, seq)
	case choice < 9:
		return "swap two entries' numbers", fmt.Sprintf(`update entries e set number = o.number, phase = e.phase || 's'
			from entries o where (e.seq, o.seq) in ((%d, %d), (%d, %d))`, seq, other, other, seq)
	}
	return "swap two postings' amounts", fmt.Sprintf(`update postings p set amount = o.amount + case p.leg when 1 then 1 else -1 end
		from postings o where p.leg = o.leg and (p.entry_seq, o.entry_seq) in ((%d, %d), (%d, %d))`, seq, other, other, seq)
}

func TestEveryTamperingIsFoundAndLocated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	random := rand.New(rand.NewPCG(*tamperSeed, 0))
	anchors := newAnchorChain(t)
	for block := range 5 {
		for i := range 20 {
			e := collect(fmt.Sprintf("p%d-%d", block, i), fmt.Sprintf("mch_%d", random.IntN(4)), 100+random.Int64N(1000))
			e.Metadata = map[string]string{"note": "n", "z": "1"}
			b.mustPost(e)
		}
		_, err := b.hold(held(fmt.Sprint("h", block), 10))
		if err == nil {
			b.mustPost(spend(fmt.Sprint("s", block), "mch_a", 10, fmt.Sprint("h", block)))
		}
		b.seal()
		anchors.export(b)
	}
	b.requireSound()
	require.True(t, b.verify(ledger.VerifyOptions{Pins: anchors.pins}).Sound)
	var seqs []int64
	rows, err := b.Pool.Query(context.Background(), `select seq from entries order by seq`)
	require.NoError(t, err)
	seqs, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)

	for n := range *tamperings {
		i, j := random.IntN(len(seqs)), random.IntN(len(seqs)-1)
		if j >= i {
			j++
		}
		name, sql := tampering(random, seqs[i], seqs[j])
		said := b.tampered(sql, anchors.pins)
		require.NotEmpty(t, said, "%d: %s on seq %d was not found", n, name, seqs[i])
		require.True(t, strings.HasPrefix(said[0], fmt.Sprintf("seal %d: ", sealOf(b, seqs, min(i, iff(strings.HasPrefix(name, "swap"), j, i))))),
			"%d: %s on seq %d (and %d): %v", n, name, seqs[i], seqs[j], said)
		located := false
		for _, what := range said {
			located = located || strings.Contains(what, fmt.Sprintf("entry seq %d", seqs[i]))
		}
		require.True(t, located, "%d: %s on seq %d was not located: %v", n, name, seqs[i], said)
	}
	b.requireSound()
}

func iff(condition bool, yes, no int) int {
	if condition {
		return yes
	}
	return no
}

func sealOf(b *bench, seqs []int64, i int) (number int64) {
	b.t.Helper()
	require.NoError(b.t, b.Pool.QueryRow(context.Background(),
		`select number from seals where from_seq < $1 and to_seq >= $1`, seqs[i]).Scan(&number))
	return number
}

// tampered runs an edit as a superuser without triggers, verifies, and undoes it.
func (b *bench) tampered(sql string, pins *chain.Pins) (said []string) {
	b.t.Helper()
	ctx := context.Background()
	tx, err := b.Pool.Begin(ctx)
	require.NoError(b.t, err)
	defer func() { require.NoError(b.t, tx.Rollback(ctx)) }()
	_, err = tx.Exec(ctx, `set local session_replication_role = replica; alter table entries alter seq set generated by default; `+sql)
	require.NoError(b.t, err, sql)
	report, err := ledger.Verify(ctx, tx, ledger.VerifyOptions{Pins: pins})
	require.NoError(b.t, err, sql)
	_, said = breaks(report)
	return said
}

// Who rewrites the seals along with the rows is found by the anchors only.
func TestARewrittenChainIsFoundByTheAnchor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anchors := newAnchorChain(t)
	for i := range 4 {
		b.mustPost(collect(fmt.Sprint("p", i), "mch_a", 100))
		b.seal()
		if i < 3 {
			anchors.export(b)
		}
	}
	ctx := context.Background()
	_, err := b.Pool.Exec(ctx, `
		set session_replication_role = replica;
		update postings set amount = amount * 2 where entry_seq = (select from_seq + 1 from seals where number = 2);
		update postings set balance_after = balance_after + 100 where balance_after is not null and entry_seq > (select from_seq from seals where number = 2);
		update ledger_accounts set posted = posted + 100 where floor is not null;
		delete from seal_balances where seal >= 2; delete from seals where number >= 2;
		set session_replication_role = default`)
	require.NoError(t, err)
	b.seal()
	require.True(t, b.verify(ledger.VerifyOptions{}).Sound, "without an anchor the forged books look sound")
	ids, said := breaks(b.verify(ledger.VerifyOptions{Pins: anchors.pins}))
	require.Contains(t, ids, "C7")
	require.Contains(t, said[0], "seal 2")
	require.ErrorContains(t, b.DB.Snapshot(ctx, func(tx pgx.Tx) error {
		books, err := ledger.Chains(ctx, tx)
		require.NoError(t, err)
		_, err = chain.MakeAnchor(time.Now(), anchors.pins, anchors.texts[len(anchors.texts)-1], books)
		return err
	}), "no longer continues from seal 3", "what was anchored is never signed away")
}

func TestEditsOfSealsAndAccountsAreFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anchors := newAnchorChain(t)
	for i := range 3 {
		b.mustPost(collect(fmt.Sprint("p", i), "mch_a", 100), collect(fmt.Sprint("q", i), "mch_b", 1))
		b.seal()
		anchors.export(b)
	}
	for _, c := range []struct{ name, edit, says string }{
		{"a seal is gone", `delete from seals where number = 2`, "seal 2: is missing"},
		{"the last seal is gone", `delete from seals where number = 3`, "seal 3: is missing"},
		{"a hash", `update seals set hash = sha256(hash) where number = 2`, "seal 2: is not the one that an anchor has"},
		{"a range", `update seals set to_seq = to_seq - 1 where number = 3`, "seal 3: is not the one"},
		{"digests", `update seals set digests = set_byte(digests, 19, get_byte(digests, 19) # 1) where number = 1`, "seal 1: its entries are as sealed"},
		{"digests and an entry", `update seals set digests = set_byte(digests, 19, get_byte(digests, 19) # 1) where number = 1;
			update entries set phase = 'x' where seq = 1`, "nothing smaller than the block"},
		{"an account's owner", `update ledger_accounts set owner = 'mch_z' where owner = 'mch_b'`, "has its posting 2 not as seal 1 has it"},
		{"an account's normal side", `update ledger_accounts set normal_side = 'debit' where owner = 'mch_b'`, "seal 1"},
		{"all entries", `delete from postings; delete from entries`, "was sealed in seal 1 and is missing"},
		{"everything of a tenant", `delete from postings; delete from entries; delete from seals; delete from tenants`, "seal 1: is missing"},
		{"an entry before all", `insert into entries (tenant_id, id, seq, kind, number, phase, currency, legs, content_hash, booked_at)
			overriding system value select tenant_id, 'ent_forged', seq - 1000, kind, 'more', phase, currency, legs, content_hash, booked_at
			from entries where seq = (select max(seq) from entries)`, "lies before everything"},
		{"an entry more", `insert into entries (tenant_id, id, seq, kind, number, phase, currency, legs, content_hash, booked_at)
			overriding system value select tenant_id, 'ent_forged', seq, kind, 'more', phase, currency, legs, content_hash,
			booked_at + interval '1 second' from entries where seq = (select min(seq) from entries)`, "was not there when seal 1 was made"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, strings.Join(b.tampered(c.edit, anchors.pins), "\n"), c.says)
		})
	}
	require.Contains(t, fmt.Sprint(b.tampered(`delete from seals where number = 2`, nil)), "seal 2: is missing")
}

func TestAnchorsAreSignedAndContinue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anchors := newAnchorChain(t)
	other := b.newTenant("licensed_reserve")
	for i := range 3 {
		b.mustPost(collect(fmt.Sprint("p", i), "mch_a", 100))
		b.seal()
		anchors.export(b)
	}
	require.Equal(t, 3, anchors.pins.Count())
	require.Equal(t, []string{b.tenant}, anchors.pins.Owners(chain.Books), "%s has no seal yet", other)
	again := &chain.Pins{}
	require.ErrorContains(t, again.Add(newAnchorChain(t).public, anchors.texts[0], anchors.signs[0]), "signature")
	require.ErrorContains(t, again.Add(anchors.public, append([]byte(" "), anchors.texts[0]...), anchors.signs[0]), "signature")
	require.ErrorContains(t, again.Add(anchors.public, anchors.texts[1], anchors.signs[1]), "continue")
	require.NoError(t, again.Add(anchors.public, anchors.texts[0], anchors.signs[0]))
	require.ErrorContains(t, again.Add(anchors.public, anchors.texts[2], anchors.signs[2]), "continue")
	forged := []byte("{}")
	require.ErrorContains(t, again.Add(anchors.public, forged, ed25519.Sign(anchors.private, forged)), "not an anchor")
}

func TestAnIncrementalRunReadsOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 30 {
		b.mustPost(collect(fmt.Sprint("p", i), fmt.Sprint("mch_", i%3), 100), entry(ledger.Fee, fmt.Sprint("p", i),
			leg(ledger.MerchantAvailable, fmt.Sprint("mch_", i%3), 10), leg(ledger.OwnStakeInCustody, "", -10),
			leg(ledger.CustodyClaim, "", 10), leg(ledger.FeeIncome, "", -10)))
	}
	b.seal()
	full := b.verify(ledger.VerifyOptions{})
	require.True(t, full.Sound, "%+v", full)
	require.EqualValues(t, 60, full.Entries)
	require.Len(t, full.Seals, 1)

	b.mustPost(collect("n1", "mch_0", 7), collect("n2", "mch_new", 8), spend("n3", "mch_1", 9, ""))
	b.seal()
	b.mustPost(collect("n4", "mch_2", 7))
	next := b.verify(ledger.VerifyOptions{Since: full.Seals})
	require.True(t, next.Sound, "%+v", next)
	require.True(t, next.Incremental)
	require.EqualValues(t, 4, next.Entries)
	require.EqualValues(t, 2, next.Seals[0].Number)

	ctx := context.Background()
	_, err := b.Pool.Exec(ctx, `set session_replication_role = replica; update postings set amount = amount + 1 where entry_seq =
		(select max(seq) from entries) and leg = 2; set session_replication_role = default`)
	require.NoError(t, err)
	ids, _ := breaks(b.verify(ledger.VerifyOptions{Since: full.Seals}))
	require.Subset(t, ids, []string{"C1", "C2", "C3", "C6"})
	full.Seals[0].Hash = append([]byte{}, full.Seals[0].Hash...)
	full.Seals[0].Hash[0] ^= 1
	_, said := breaks(b.verify(ledger.VerifyOptions{Since: full.Seals}))
	require.Contains(t, strings.Join(said, "\n"), "not the one that was verified before")
	require.Equal(t, id.Check(id.Tenant, full.Seals[0].TenantID), nil)
}

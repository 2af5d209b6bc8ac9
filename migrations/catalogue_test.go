package migrations_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var update = flag.Bool("update", false, "write testdata/grants.txt, for review")

const grantsFile = "testdata/grants.txt"

func texts(t *testing.T, db *pgtest.Database, sql string) []string {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), sql)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

// sqlGrants is everything that our roles, and everybody, may do: on tables without
// their monthly partitions, on columns, sequences and functions that lend rights; and
// the walls: of each table, and each policy of it.
const sqlGrants = `
	with roles as (select oid, rolname from pg_roles where rolname like 'suanpan\_%' union all select 0, 'everybody'),
	relations as (
	  select c.oid, c.relname, c.relkind, c.relacl from pg_class c
	  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'S', 'v', 'm')
	    and not (c.relispartition and c.relname ~ '_[0-9]{6}$')
	)
	select line from (
	  select format('%s %s: %s', case r.relkind when 'S' then 'sequence' else 'table' end, r.relname,
	    string_agg(format('%s %s', o.rolname, lower(a.privilege_type)), ', ' order by o.rolname, a.privilege_type)) as line
	  from relations r, aclexplode(r.relacl) a join roles o on o.oid = a.grantee group by r.relname, r.relkind
	  union all
	  select format('columns of %s: %s %s (%s)', r.relname, o.rolname, lower(a.privilege_type),
	    string_agg(t.attname, ', ' order by t.attnum))
	  from relations r join pg_attribute t on t.attrelid = r.oid, aclexplode(t.attacl) a join roles o on o.oid = a.grantee
	  group by r.relname, o.rolname, a.privilege_type
	  union all
	  select format('function %s lends the rights of %s', p.proname,
	    case when pg_get_userbyid(p.proowner) like 'suanpan\_%' then pg_get_userbyid(p.proowner) else 'the owner' end)
	  from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prosecdef
	  union all
	  select format('wall of %s: %s', c.relname,
	    case when c.relrowsecurity and c.relforcerowsecurity then 'forced' when c.relrowsecurity then 'not forced' else 'none' end)
	  from relations r join pg_class c on c.oid = r.oid where c.relkind in ('r', 'p')
	  union all
	  select format('%s policy %s on %s for %s to %s using %s with check %s', lower(permissive), policyname, tablename, lower(cmd),
	    array_to_string(roles, ', '), coalesce(regexp_replace(qual, '\s+', ' ', 'g'), 'nothing'), coalesce(with_check, 'nothing'))
	  from pg_policies where schemaname = 'public'
	  union all
	  select format('default: %s %s', o.rolname, lower(a.privilege_type))
	  from pg_default_acl d, aclexplode(d.defaclacl) a join roles o on o.oid = a.grantee
	) all_of_it order by line collate "C"`

// What each role may do is the reviewed list, no less and no more. Whoever adds a
// table, column or function adds its line, and a reviewer sees it.
func TestGrantsAreTheReviewedOnes(t *testing.T) {
	t.Parallel()
	got := strings.Join(texts(t, pgtest.New(t), sqlGrants), "\n") + "\n"
	if *update {
		require.NoError(t, os.WriteFile(grantsFile, []byte(got), 0o600))
	}
	want, err := os.ReadFile(grantsFile)
	require.NoError(t, err)
	without := func(list, other string) []string {
		return slices.DeleteFunc(strings.Split(list, "\n"), func(line string) bool { return slices.Contains(strings.Split(other, "\n"), line) })
	}
	const review = "review this, then: go test ./migrations -run Grants -update"
	require.Empty(t, without(got, string(want)), "in the database and not in the list: "+review)
	require.Empty(t, without(string(want), got), "in the list and not in the database: "+review)
}

// The tenant law: every table with a tenant_id has forced row-level security, a
// policy for each of the two roles, and a primary key that begins with it.
func TestEveryTenantTableHasItsWall(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	require.Empty(t, texts(t, db, sqlUnwalled))
	require.Greater(t, len(texts(t, db, `select attrelid::regclass::text from pg_attribute where attname = 'tenant_id'`)), 40)
	require.Empty(t, texts(t, db, `
		select rolname::text from pg_roles where rolname like 'suanpan\_%' and (rolsuper or rolbypassrls or rolcanlogin)`))
	// The guard of this test: a table that forgets its wall is found.
	_, err := db.Pool.Exec(t.Context(), `create table forgotten (tenant_id text, id text, primary key (id))`)
	require.NoError(t, err)
	require.Equal(t, []string{"forgotten"}, texts(t, db, sqlUnwalled))
}

// Monthly partitions are reached through their parents only: nobody has a grant on them.
const sqlUnwalled = `
	select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnum > 0
	where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not (
	  c.relispartition and not exists (
	    select from aclexplode(c.relacl) g join pg_roles r on r.oid = g.grantee and r.rolname like 'suanpan\_%')
	  or c.relrowsecurity and c.relforcerowsecurity
	  and exists (select from pg_policies p where p.tablename = c.relname and p.permissive = 'PERMISSIVE' and 'suanpan_app' = any (p.roles)
	    and p.qual like '%tenant_id = current_setting(''suanpan.tenant''%')
	  and exists (select from pg_policies p where p.tablename = c.relname and 'suanpan_system' = any (p.roles))
	  and exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and i.indkey[0] = a.attnum))
	order by 1`

// Append-only tables stay so: neither role may update or delete what they hold.
func TestAppendOnlyTablesHaveNoOtherGrants(t *testing.T) {
	t.Parallel()
	require.Empty(t, texts(t, pgtest.New(t), `
		select format('%s on %s', p.privilege, t.name)
		from unnest(array['entries', 'postings', 'seals', 'seal_balances', 'events', 'account_changes', 'approval_policies', 'transfers',
		  'accepted_requests', 'accepted_responses', 'hold_releases', 'late_receipts', 'settlements', 'audit_entries', 'audit_seals', 'unmaskings']) t (name),
		  unnest(array['update', 'delete', 'truncate']) p (privilege), unnest(array['suanpan_app', 'suanpan_system']) r (role)
		where has_table_privilege(r.role, t.name, p.privilege) or p.privilege = 'update' and has_any_column_privilege(r.role, t.name, 'update')`))
}

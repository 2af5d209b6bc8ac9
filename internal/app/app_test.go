package app_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/freeport"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/internal/temporaldev"
	"github.com/suanpan/suanpan/internal/temporaltest"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
	"github.com/suanpan/suanpan/workflows"
)

func TestMain(m *testing.M) { pgtest.Main(temporaltest.With(m)) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestMigrateAnEmptyDatabaseAndAgain(t *testing.T) {
	t.Parallel()
	url := pgtest.NewEmpty(t)
	from, to, err := app.Migrate(t.Context(), url)
	require.NoError(t, err)
	require.Zero(t, from)
	require.Positive(t, to)
	again, same, err := app.Migrate(t.Context(), url)
	require.NoError(t, err)
	require.Equal(t, []int32{to, to}, []int32{again, same})

	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `update schema_version set version = version + 1`)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	_, _, err = app.Migrate(t.Context(), url)
	require.ErrorContains(t, err, "run a newer build")
}

func TestMigrateWithoutADatabaseSaysSo(t *testing.T) {
	t.Parallel()
	_, _, err := app.Migrate(t.Context(), "postgres://nobody@127.0.0.1:1/none")
	require.ErrorContains(t, err, "database")
}

func coreOf(t *testing.T) config.Core {
	t.Helper()
	namespace := temporaltest.New(t)
	return config.Core{Env: config.Development, DatabaseURL: pgtest.New(t).URL, DatabaseMaxConns: 4,
		TemporalAddress: namespace.Address, TemporalNamespace: namespace.Name}
}

func TestPrepareTemporalMakesNamespaceAttributesAndSchedule(t *testing.T) {
	t.Parallel()
	cfg := config.Core{TemporalAddress: temporaltest.New(t).Address, TemporalNamespace: "made-" + strings.ToLower(id.Number())}
	for range 2 {
		require.NoError(t, app.PrepareTemporal(t.Context(), cfg, quiet()))
	}
	c, err := client.Dial(client.Options{HostPort: cfg.TemporalAddress, Namespace: cfg.TemporalNamespace, Logger: temporaldev.Quiet()})
	require.NoError(t, err)
	defer c.Close()
	listed, err := c.OperatorService().ListSearchAttributes(t.Context(),
		&operatorservice.ListSearchAttributesRequest{Namespace: cfg.TemporalNamespace})
	require.NoError(t, err)
	for _, name := range []string{workflows.AttributeTenant, workflows.AttributeMerchant, workflows.AttributeBusinessID, workflows.AttributeChannel} {
		require.Equal(t, enumspb.INDEXED_VALUE_TYPE_KEYWORD, listed.CustomAttributes[name], name)
	}
	for range 2 {
		require.NoError(t, app.EnsureSchedule(t.Context(), cfg, quiet()))
	}
	schedule, err := c.ScheduleClient().GetHandle(t.Context(), app.ScheduleID).Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, app.ScheduleZone, schedule.Schedule.Spec.TimeZoneName)
	next := schedule.Info.NextActionTimes[0].In(time.FixedZone("Asia/Shanghai", 8*3600))
	require.Equal(t, "10:30", next.Format("15:04"), "after both providers have made their bills")
}

func TestNotifyURL(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"https://pay.example.com", "https://pay.example.com/"} {
		require.Equal(t, "https://pay.example.com/notify/alipay/chn_1", app.NotifyURL(base)("alipay", "chn_1"))
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	port, err := freeport.Reserve()
	require.NoError(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// get is the status and the body at an address; 0 while nobody listens.
func get(url string) (int, string) {
	response, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// Both processes come up healthy, and end when they are told to.
func TestProcessesRunUntilTheyAreStopped(t *testing.T) {
	t.Parallel()
	core := coreOf(t)
	masterKey := filepath.Join(t.TempDir(), "master.key")
	require.NoError(t, app.NewMasterKey(masterKey))
	channels := config.Channels{Secrets: config.Secrets{MasterKeyFile: masterKey}, PublicURL: "http://127.0.0.1"}
	api := config.API{Core: core, Channels: channels, Listen: freePort(t)}
	worker := config.Worker{Core: core, Channels: channels, HealthListen: freePort(t)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- app.RunAPI(ctx, api, quiet()) }()
	go func() { ended <- app.RunWorker(ctx, worker, quiet()) }()
	for _, address := range []string{api.Listen, worker.HealthListen} {
		require.Eventually(t, func() bool {
			status, _ := get("http://" + address + "/healthz")
			return status == http.StatusOK
		}, 20*time.Second, 50*time.Millisecond, address)
	}

	busy := config.API{Core: core, Channels: channels, Listen: api.Listen}
	require.ErrorContains(t, app.RunAPI(t.Context(), busy, quiet()), "SUANPAN_API_LISTEN")
	cancel()
	for range 2 {
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(30 * time.Second):
			require.FailNow(t, "a process did not end")
		}
	}
}

// shop is a tenant with a payment that nobody drives.
type shop struct {
	*testing.T
	*pgtest.Database
	cfg             config.Core
	masterKey       string
	sweeper         *app.Sweeper
	tenant, account string
	paymentID       string
}

func openShop(t *testing.T) *shop {
	t.Helper()
	t.Parallel()
	namespace := temporaltest.New(t)
	s := &shop{T: t, Database: pgtest.New(t)}
	s.cfg = config.Core{DatabaseURL: s.URL, DatabaseMaxConns: 4, TemporalAddress: namespace.Address, TemporalNamespace: namespace.Name}
	s.masterKey = filepath.Join(t.TempDir(), "master.key")
	require.NoError(t, app.NewMasterKey(s.masterKey))
	s.sweeper = s.sweeperAt(namespace.Address)
	require.NoError(t, s.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		created, err := tenant.Create(t.Context(), tx, "A tenant", tenant.LicensedReserve)
		if err != nil {
			return err
		}
		s.tenant = created.ID
		account, err := tenant.AddChannelAccount(t.Context(), tx, s.tenant, tenant.ChannelAccount{Channel: "alipay", Name: "Alipay"})
		s.account = account.ID
		return err
	}))
	s.paymentID = id.New(id.Payment)
	require.NoError(t, s.DB.InTenant(t.Context(), s.tenant, func(tx pgx.Tx) error {
		m, err := party.Create(t.Context(), tx, nil, s.tenant, party.NewMerchant{Reference: "shop", Name: "Shop", Settlement: "T0"})
		if err != nil {
			return err
		}
		return payment.Create(t.Context(), tx, s.tenant, payment.New{ID: s.paymentID, MerchantID: m.ID, Reference: "order", Subject: "tea",
			Amount: money.Fen(1000), Method: &payment.Method{Channel: "alipay", Product: channel.ProductQR}, ExpiresIn: time.Hour}, shelf())
	}))
	return s
}

// shelf is what the account offers.
func shelf() payment.Till {
	return payment.Till{Offers: func(string) []channel.Offer {
		return []channel.Offer{{Product: channel.ProductQR, Action: channel.ActionQRCode}}
	}}
}

func (s *shop) sweeperAt(address string) *app.Sweeper {
	s.Helper()
	cfg := s.cfg
	cfg.TemporalAddress = address
	box, err := app.OpenBox(config.Secrets{MasterKeyFile: s.masterKey})
	require.NoError(s, err)
	c, err := app.DialTemporal(cfg, app.NewCodec(s.DB, box), quiet())
	require.NoError(s, err)
	s.Cleanup(c.Close)
	return &app.Sweeper{DB: s.DB, Starter: workflows.Starter{Client: c}, Log: quiet(), Grace: app.PaymentGrace}
}

func (s *shop) count(sql string) (n int64) {
	s.Helper()
	require.NoError(s, s.Pool.QueryRow(s.Context(), sql).Scan(&n))
	return n
}

// What was accepted is left to its own call for a moment, survives a Temporal
// server that is away, and is started by whichever sweeper comes first.
func TestSweeperStartsWhatNobodyStarted(t *testing.T) {
	s := openShop(t)
	n, err := s.sweeper.StartMissing(t.Context())
	require.NoError(t, err)
	require.Zero(t, n, "its own call may still start it")

	_, err = s.Pool.Exec(t.Context(), `update workflow_starts set created_at = created_at - interval '6 seconds'`)
	require.NoError(t, err)
	short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = s.sweeperAt("127.0.0.1:1").StartMissing(short)
	require.Error(t, err)
	require.Equal(t, int64(1), s.count(`select count(*) from workflow_starts where started_at is null`), "still due")

	n, err = s.sweeper.StartMissing(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Zero(t, s.count(`select count(*) from workflow_starts where started_at is null`))
	found, err := s.sweeper.Starter.Client.DescribeWorkflowExecution(t.Context(), payment.WorkflowID(s.paymentID), "")
	require.NoError(t, err)
	require.Equal(t, payment.WorkflowType, found.WorkflowExecutionInfo.Type.Name)
	for _, name := range []string{workflows.AttributeTenant, workflows.AttributeMerchant, workflows.AttributeBusinessID, workflows.AttributeChannel} {
		require.Contains(t, found.WorkflowExecutionInfo.SearchAttributes.IndexedFields, name)
	}

	// Redrive finds it unfinished, and leaves it alone because it runs.
	total, err := app.Redrive(t.Context(), config.Vault{Core: s.cfg, Secrets: config.Secrets{MasterKeyFile: s.masterKey}}, quiet())
	require.NoError(t, err)
	require.Equal(t, int64(1), total)
	again, err := s.sweeper.Starter.Client.DescribeWorkflowExecution(t.Context(), payment.WorkflowID(s.paymentID), "")
	require.NoError(t, err)
	require.Equal(t, found.WorkflowExecutionInfo.Execution.RunId, again.WorkflowExecutionInfo.Execution.RunId)
}

// A notification about a number that is not ours holds up nobody.
func TestSweeperPassesNotificationsOn(t *testing.T) {
	s := openShop(t)
	var number string
	require.NoError(t, s.Pool.QueryRow(t.Context(), `select number from attempts`).Scan(&number))
	for i, n := range []string{id.Number(), number, number} {
		require.NoError(t, s.DB.InTenant(t.Context(), s.tenant, func(tx pgx.Tx) error {
			_, err := channel.StoreNotification(t.Context(), tx, channel.StoredNotification{Tenant: s.tenant, ChannelAccountID: s.account,
				Notification: channel.Notification{ID: fmt.Sprintf("n%d", i), Kind: channel.NotifyTrade, Number: n, TradeNumber: n,
					Amount: money.Fen(1000), State: "TRADE_SUCCESS"}})
			return err
		}))
	}
	n, err := s.sweeper.RelayNotifications(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, n)
	n, err = s.sweeper.RelayNotifications(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, 2, s.signals(workflows.SignalNotified), "the workflow was started and told")
}

// signals counts those of a name in the payment's history.
func (s *shop) signals(name string) (n int) {
	s.Helper()
	events := s.sweeper.Starter.Client.GetWorkflowHistory(s.Context(), payment.WorkflowID(s.paymentID), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(s, err)
		if event.GetWorkflowExecutionSignaledEventAttributes().GetSignalName() == name {
			n++
		}
	}
	return n
}

func TestSweeperWakesOverduePaymentsOnceAMinute(t *testing.T) {
	s := openShop(t)
	n, err := s.sweeper.WakeOverdue(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	_, err = s.Pool.Exec(t.Context(), `update business_clock set ahead = interval '61 minutes'`)
	require.NoError(t, err)
	for _, want := range []int{1, 0} {
		n, err = s.sweeper.WakeOverdue(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	require.Equal(t, 1, s.signals(workflows.SignalExpired))
}

// What only the background does is done: holds end, books are sealed, and months to
// come have their partitions.
func TestSweeperEndsHoldsSealsAndMakesPartitions(t *testing.T) {
	s := openShop(t)
	account := ledger.AccountKey{Type: ledger.MerchantAvailable, Owner: "mch", Currency: money.CNY}
	require.NoError(t, s.DB.InTenant(t.Context(), s.tenant, func(tx pgx.Tx) error {
		_, err := ledger.Post(t.Context(), tx, s.tenant, ledger.Entry{
			Reference: ledger.Reference{Kind: ledger.Collect, Number: "p1", Phase: "booked"}, Currency: money.CNY,
			Postings: []ledger.Posting{{Account: ledger.AccountKey{Type: ledger.ChannelUnsettled, Owner: "chn", Currency: money.CNY}, Amount: 5},
				{Account: account, Amount: -5}}})
		if err != nil {
			return err
		}
		_, err = ledger.PlaceHold(t.Context(), tx, s.tenant, ledger.HoldRequest{Account: account, Amount: 5, Reference: "h1",
			ExpiresAt: time.Now().Add(time.Hour)})
		return err
	}))
	_, err := s.Pool.Exec(t.Context(), `update business_clock set ahead = interval '11 months'`)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.sweeper.Run(ctx) }()
	for _, done := range []string{`select count(*) from holds where status = 'expired'`, `select count(*) from seals`,
		`select count(*) from partitions_until where parent = 'postings'::regclass and until > suanpan_now() + interval '3 months'`} {
		require.Eventually(t, func() bool { return s.count(done) == 1 }, 20*time.Second, 50*time.Millisecond, done)
	}
	cancel()
	<-ended
}

func TestVerifyReportsEveryInvariant(t *testing.T) {
	s := openShop(t)
	report, err := app.Verify(t.Context(), s.cfg, ledger.VerifyOptions{})
	require.NoError(t, err)
	require.True(t, report.Sound)
	require.Len(t, report.Results, len(app.Invariants())+1, "and the audit log's")
	seen := map[string]bool{}
	for _, invariant := range app.Invariants() {
		require.False(t, seen[invariant.ID], "two invariants are called %s", invariant.ID)
		seen[invariant.ID] = true
		require.NotEmpty(t, invariant.Name)
		require.NotEmpty(t, invariant.Rule)
	}
	// Behind the platform's back, a payment becomes paid without any money.
	_, err = s.Pool.Exec(t.Context(), `update payments set status = 'succeeded', paid_at = now()`)
	require.NoError(t, err)
	report, err = app.Verify(t.Context(), s.cfg, ledger.VerifyOptions{})
	require.NoError(t, err)
	require.False(t, report.Sound)
}

func TestHealthySaysWhatDoesNotAnswer(t *testing.T) {
	s := openShop(t)
	require.NoError(t, app.Healthy(t.Context(), s.DB, s.sweeper.Starter.Client))
	require.ErrorContains(t, app.Healthy(t.Context(), s.DB, s.sweeperAt("127.0.0.1:1").Starter.Client), "temporal does not answer")
	closed, err := pg.Open(t.Context(), s.URL, pg.Options{MaxConns: 1})
	require.NoError(t, err)
	closed.Close()
	require.ErrorContains(t, app.Healthy(t.Context(), closed, s.sweeper.Starter.Client), "the database does not answer")
}

func TestCommandsAreOnRecord(t *testing.T) {
	s := openShop(t)
	who := app.ActingOnCommandLine(t.Context(), "starter operator-key new", "root")
	keyID, _, err := app.NewOperatorKey(who, s.cfg, "ops", app.OperatorScopes(), 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, s.count(`select count(*) from audit_entries where tenant_id = 'platform' and actor_kind = 'command' and actor = 'root'
		and operation = 'starter operator-key new' and object_type = 'operator_key' and object_id = '`+keyID+`'`))
	n, err := app.Seal(t.Context(), s.cfg)
	require.NoError(t, err)
	require.Positive(t, n)
	report, err := app.Verify(t.Context(), s.cfg, ledger.VerifyOptions{})
	require.NoError(t, err)
	require.True(t, report.Sound)
}

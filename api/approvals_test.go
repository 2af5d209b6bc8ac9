package api

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/access"
	"github.com/suanpan/suanpan/core/approval"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// staffed is a fixture with money, a second merchant and three people; every
// transfer from 500 fen on needs a second person.
type staffed struct {
	*fixture
	other                 string
	maker, checker, admin []string
	makerID, checkerID    string
}

func newStaffed(t *testing.T) *staffed {
	t.Helper()
	f := &staffed{fixture: newFixture(t)}
	f.fund(100_000)
	f.other = f.newMerchant("other")
	var makerKey, checkerKey, adminKey string
	f.makerID, makerKey = f.staff(access.FinanceMaker)
	f.checkerID, checkerKey = f.staff(access.FinanceChecker)
	_, adminKey = f.staff(access.Admin)
	f.maker, f.checker, f.admin = as(makerKey), as(checkerKey), as(adminKey)
	set := f.post("/v1/approval_policies", `{"kind":"transfer","required":true,"from_amount":500,"reason":"four eyes"}`, f.admin...)
	require.Equal(t, http.StatusCreated, set.Code, set.Body)
	f.conforms(set, "ApprovalPolicy")
	return f
}

// ask asks for a transfer that must wait.
func (f *staffed) ask(reference string, headers ...string) response {
	f.t.Helper()
	asked := f.post("/v1/transfers", f.transfer(f.other, reference, 500, ""), append(append([]string{}, f.maker...), headers...)...)
	require.Equal(f.t, http.StatusAccepted, asked.Code, asked.Body)
	return asked
}

func (f *staffed) approve(asked response, headers ...string) response {
	f.t.Helper()
	return f.post("/v1/approvals/"+asked.field("id")+"/approve", `{"content_sha256":"`+asked.field("content_sha256")+`"}`, headers...)
}

func (f *staffed) statusOf(asked response) string {
	f.t.Helper()
	return f.get("/v1/approvals/" + asked.field("id")).field("status")
}

func TestASecondPersonApprovesExactlyWhatWasAsked(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	require.Equal(t, http.StatusCreated, f.post("/v1/transfers", f.transfer(f.other, "small", 499, ""), f.maker...).Code, "below the amount")
	dry := f.post("/v1/transfers", f.transfer(f.other, "dry", 5000, `,"dry_run":true`), f.maker...)
	require.Equal(t, http.StatusOK, dry.Code, dry.Body)
	asked := f.ask("t-1", "Idempotency-Key", "key-asked-01")
	f.conforms(asked, "Approval")
	require.Equal(t, f.makerID, asked.json()["requested_by"].(map[string]any)["principal_id"])
	require.Equal(t, 1, f.count(`transfers`), "nothing was done yet")
	again := f.ask("t-1", "Idempotency-Key", "key-asked-01")
	require.Equal(t, asked.Body.String(), again.Body.String())
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	f.conforms(f.get("/v1/approvals?status=pending&kind=transfer"), "ApprovalPage")

	done := f.approve(asked, append(f.checker, "Idempotency-Key", "key-decided-1")...)
	require.Equal(t, http.StatusCreated, done.Code, done.Body)
	f.conforms(done, "Approval")
	require.Equal(t, "approved", done.field("status"))
	made := f.get("/v1/transfers/" + done.field("object_id"))
	require.Equal(t, "t-1", made.field("reference"))
	repeated := f.approve(asked, append(f.checker, "Idempotency-Key", "key-decided-1")...)
	require.Equal(t, done.Body.String(), repeated.Body.String())
	require.Equal(t, "true", repeated.Header().Get("Idempotency-Replayed"))
	f.approve(asked, f.checker...).refused(http.StatusConflict, "approval_decided", "")
	require.Equal(t, again.Body.String(), f.ask("t-1", "Idempotency-Key", "key-asked-01").Body.String(), "the first answer, for ever")
	require.Equal(t, 2, f.count(`transfers`))
	require.Equal(t, 1, f.count(`events where type = 'approval.requested'`))
	require.Equal(t, 1, f.count(`events where type = 'approval.approved'`))

	rejected := f.post("/v1/approvals/"+f.ask("t-2").field("id")+"/reject", `{"reason":"no"}`, f.checker...)
	require.Equal(t, "rejected", rejected.field("status"))
	require.Equal(t, 1, f.count(`events where type = 'approval.rejected'`))
	require.Equal(t, 2, f.count(`transfers`))
	f.conforms(f.get("/v1/approval_policies"), "ApprovalPolicyPage")
}

// What starts a workflow when it is accepted starts it when it is approved.
func TestAnApprovedWithdrawalIsDriven(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	f.post("/v1/approval_policies", `{"kind":"withdrawal","required":true,"reason":"r"}`, f.admin...).refusedOrWaits(f)
	rich := f.post("/v1/merchants", `{"reference":"rich","name":"n","settlement":"T0","payout_account":{"channel":"alipay","account":"a@example.com","name":"Ann"}}`).field("id")
	f.merchant = rich
	f.fund(1000)
	body := `{"merchant_id":"` + rich + `","reference":"w","amount":{"amount":1000,"currency":"CNY"}}`
	asked := f.post("/v1/withdrawals", body, append(f.maker, "Idempotency-Key", "key-withdraw-1")...)
	require.Equal(t, http.StatusAccepted, asked.Code, asked.Body)
	require.Equal(t, asked.Body.String(), f.post("/v1/withdrawals", body, append(f.maker, "Idempotency-Key", "key-withdraw-1")...).Body.String())
	require.Zero(t, f.count(`withdrawals`)+f.count(`workflow_starts`)+f.count(`holds`))
	done := f.approve(asked, f.checker...)
	require.Equal(t, http.StatusCreated, done.Code, done.Body)
	require.Equal(t, "processing", f.get("/v1/withdrawals/"+done.field("object_id")).field("status"))
	require.Equal(t, 1, f.count(`workflow_starts`))
	require.Equal(t, "withdrawal/"+done.field("object_id"), f.workflows.started[len(f.workflows.started)-1].WorkflowID)
	// What the operation refuses is refused, and stays pending.
	second := f.post("/v1/withdrawals", strings.Replace(body, `"w"`, `"w2"`, 1), f.maker...)
	f.approve(second, f.checker...).refused(http.StatusUnprocessableEntity, "funds_insufficient", "amount")
	require.Equal(t, "pending", f.statusOf(second))
}

// refusedOrWaits lets a change of a policy wait and be approved.
func (r response) refusedOrWaits(f *staffed) {
	f.t.Helper()
	require.Equal(f.t, http.StatusAccepted, r.Code, r.Body)
	require.Equal(f.t, http.StatusCreated, f.approve(r, f.checker...).Code)
}

// Every way that one person could be two.
func TestNobodyApprovesHisOwn(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	both, bothKey := f.staff(access.FinanceMaker, access.FinanceChecker)
	secondKey := f.newKey(f.tenant, tenant.AllScopes)
	bind := func(secret, principalID string) {
		require.NoError(t, f.db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
			p, err := tenant.Authenticate(t.Context(), f.db.DB, secret)
			require.NoError(t, err)
			return access.BindKey(t.Context(), tx, f.tenant, p.KeyID, principalID)
		}))
		f.handler = f.serve(Options{Dev: true}) // an instance that remembers nothing
	}
	bind(secondKey, both)
	ask := func(reference string, headers ...string) response {
		asked := f.post("/v1/transfers", f.transfer(f.other, reference, 500, ""), headers...)
		require.Equal(t, http.StatusAccepted, asked.Code, asked.Body)
		return asked
	}
	own := ask("own", as(bothKey)...)
	f.approve(own, as(bothKey)...).refused(http.StatusForbidden, "own_request", "")
	f.approve(own, as(secondKey)...).refused(http.StatusForbidden, "own_request", "")
	f.approve(own, f.maker...).refused(http.StatusForbidden, "role_missing", "")
	f.approve(own).refused(http.StatusForbidden, "second_person_unnamed", "")

	// By a key that belongs to nobody, which is bound to the checker afterwards.
	loose := f.newKey(f.tenant, tenant.AllScopes)
	unbound := ask("unbound", as(loose)...)
	bind(loose, f.checkerID)
	f.approve(unbound, as(loose)...).refused(http.StatusForbidden, "own_request", "")
	f.approve(unbound, f.checker...).refused(http.StatusForbidden, "own_request", "")
	// By making oneself a second self: that needs a second person too.
	for target, body := range map[string]string{
		"/v1/principals": `{"kind":"operator","name":"me too","roles":["finance_checker"],"reason":"r"}`,
		"/v1/principals/" + f.makerID + "/changes":   `{"roles":["finance_maker","finance_checker"],"reason":"r"}`,
		"/v1/principals/" + f.checkerID + "/changes": `{"status":"suspended","reason":"r"}`,
		"/v1/principals/" + f.checkerID + "/keys":    `{"api_key_id":"` + id.New(id.APIKey) + `","reason":"r"}`,
		"/v1/approval_policies":                      `{"kind":"transfer","required":false,"reason":"r"}`,
	} {
		require.Equal(t, http.StatusAccepted, f.post(target, body).Code, target)
		require.Equal(t, http.StatusAccepted, f.post(target, body, f.admin...).Code, target)
	}
	// By another route to the same money.
	batch := `{"mode":"per_item","items":[` + f.transfer(f.other, "b-1", 250, "") + "," + f.transfer(f.other, "b-2", 250, "") + `]}`
	require.Equal(t, http.StatusAccepted, f.post("/v1/transfer_batches", batch).Code)
	// By the database's role of the application.
	require.ErrorContains(t, f.db.DB.InTenant(t.Context(), f.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `update approvals set status = 'approved', decided_at = suanpan_now(), object_id = 'x',
			decided_by_key = requested_by_key, decided_by_principal = requested_by_principal where id = $1`, own.field("id"))
		return err
	}), "approvals_by_another")
	// The other tenant's checker.
	_, stranger := f.newTenant()
	f.approve(own, as(stranger)...).refused(http.StatusNotFound, "not_found", "")
	require.Zero(t, f.count(`transfers`)+f.count(`approvals where status <> 'pending'`))
	require.Equal(t, http.StatusCreated, f.approve(own, f.checker...).Code, "somebody else may")
}

func TestAnApprovalIsBoundToItsContent(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	asked := f.ask("t-1")
	f.post("/v1/approvals/"+asked.field("id")+"/approve", `{"content_sha256":"`+strings.Repeat("0", 64)+`"}`, f.checker...).
		refused(http.StatusConflict, "content_changed", "content_sha256")
	f.approve(response{f.ask("t-2").ResponseRecorder, t}, f.maker...).refused(http.StatusForbidden, "role_missing", "")
	edits := []string{
		`update approvals set content = convert_to(replace(convert_from(content, 'UTF8'), '500', '900'), 'UTF8') where id = $1`,
		`update approvals set route = 'POST /v1/transfer_batches' where id = $1`,
		`update approvals set operation = 'createRefund' where id = $1`,
		`update approvals set content_hash = sha256('x') where id = $1`,
		`update approvals set content = content || ' ' where id = $1`,
	}
	for _, edit := range edits {
		require.Error(t, f.db.DB.InTenant(t.Context(), f.tenant, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), edit, asked.field("id"))
			return err
		}), "the application's role may not: %s", edit)
		changed := f.ask("e-" + id.Number())
		_, err := f.db.Pool.Exec(t.Context(), edit, changed.field("id"))
		require.NoError(t, err)
		resp := f.approve(changed, f.checker...)
		require.Equal(t, http.StatusConflict, resp.Code, "%s: %s", edit, resp.Body)
		resp.refused(http.StatusConflict, "content_changed", "content_sha256")
	}
	require.Zero(t, f.count(`transfers`))
}

func TestAnApprovalExpires(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	asked, late := f.ask("t-1"), f.ask("t-2")
	_, err := f.db.Pool.Exec(t.Context(), `update business_clock set ahead = '73 hours'`)
	require.NoError(t, err)
	f.approve(asked, f.checker...).refused(http.StatusConflict, "approval_expired", "")
	require.NoError(t, f.db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		n, err := approval.Expire(t.Context(), tx, 10)
		require.Equal(t, 2, n)
		return err
	}))
	f.approve(late, f.checker...).refused(http.StatusConflict, "approval_decided", "")
	require.Equal(t, "expired", f.statusOf(late))
	require.Equal(t, 2, f.count(`events where type = 'approval.expired'`))
	require.Zero(t, f.count(`transfers`))
}

func TestARevokedAskerGetsNothing(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	asked := f.ask("t-1")
	_, err := f.db.Pool.Exec(t.Context(), `update principals set status = 'suspended' where id = $1`, f.makerID)
	require.NoError(t, err)
	f.approve(asked, f.checker...).refused(http.StatusConflict, "requester_gone", "")
}

// Two hundred who approve at once, and in a second window each once more with the
// same key: one transfer.
func TestRacingCheckersCarryItOutOnce(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	asked := f.ask("t-1")
	const checkers = 200
	codes := make([]int, 2*checkers)
	var group sync.WaitGroup
	for i := range codes {
		group.Go(func() {
			codes[i] = f.approve(asked, append(append([]string{}, f.checker...), "Idempotency-Key", fmt.Sprintf("key-checker-%d", i%checkers))...).Code
		})
	}
	group.Wait()
	won := 0
	for _, code := range codes {
		require.Contains(t, []int{http.StatusCreated, http.StatusConflict, http.StatusServiceUnavailable}, code)
		if code == http.StatusCreated {
			won++
		}
	}
	require.LessOrEqual(t, won, 2, "the winner, and its repetition")
	require.GreaterOrEqual(t, won, 1)
	require.Equal(t, 1, f.count(`transfers`))
	require.Equal(t, 1, f.count(`events where type = 'approval.approved'`))
}

// Keys of a channel wait sealed, are never shown, and arrive.
func TestKeysThatWaitAreSealed(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	f.post("/v1/approval_policies", `{"kind":"channel_credentials","required":true,"reason":"r"}`, f.admin...).refusedOrWaits(f)
	own, provider := newPair(t), newPair(t)
	body := encoded(t, map[string]any{"private_key": own.private, "provider_public_key": provider.public})
	asked := f.post("/v1/channel_accounts/"+f.channel.ID+"/credentials", body, f.admin...)
	require.Equal(t, http.StatusAccepted, asked.Code, asked.Body)
	require.Nil(t, asked.json()["content"])
	require.NotContains(t, asked.Body.String(), "PRIVATE")
	require.Equal(t, 1, f.count(`approvals where sealed and position('PRIVATE'::bytea in content) = 0`))
	done := f.approve(asked, f.checker...)
	require.Equal(t, http.StatusCreated, done.Code, done.Body)
	require.Equal(t, 1, f.count(`channel_credentials`))
	// A sealed content that was exchanged does not open.
	again := f.post("/v1/channel_accounts/"+f.channel.ID+"/credentials", body, f.admin...)
	_, err := f.db.Pool.Exec(t.Context(), `update approvals set content = (select content from approvals where id = $1) where id = $2`,
		asked.field("id"), again.field("id"))
	require.NoError(t, err)
	f.approve(again, f.checker...).refused(http.StatusConflict, "content_changed", "content_sha256")
}

// Whoever decides about a redirect sees where the money would go: the bank, the last
// digits of the card, the first character of the name, and no more than that is kept.
func TestTheDestinationOfARedirectIsShownMasked(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	f.post("/v1/approval_policies", `{"kind":"refund","required":true,"reason":"r"}`, f.admin...).refusedOrWaits(f)
	target := "/v1/refunds/" + id.New(id.Refund) + "/redirect"
	asked := f.post(target, `{"to":"payer_card","card":{"bank":"ICBC_DEBIT","number":"6222020200112233445","holder":"赵钱孙"}}`, f.maker...)
	require.Equal(t, http.StatusAccepted, asked.Code, asked.Body)
	for _, shown := range []response{asked, f.get("/v1/approvals/" + asked.field("id"))} {
		require.Nil(t, shown.json()["content"])
		seen := shown.json()["preview"].(map[string]any)
		require.Equal(t, "payer_card", seen["to"])
		require.Equal(t, map[string]any{"bank": "ICBC_DEBIT", "number": "****3445", "holder": "赵*"}, seen["card"])
		require.NotContains(t, shown.Body.String(), "622202")
		require.NotContains(t, shown.Body.String(), "钱孙")
	}
	require.Zero(t, f.count(`approvals a where a::text like '%6222020200112233445%' or a::text like '%赵钱孙%'`))
	f.approve(asked, f.checker...).refused(http.StatusNotFound, "not_found", "")

	toMerchant := f.post(target, `{"to":"merchant"}`, f.maker...)
	require.Equal(t, "merchant", toMerchant.json()["preview"].(map[string]any)["to"])
	plain := f.ask("t-plain")
	require.Nil(t, plain.json()["preview"])
}

// What becomes of money whose fate nobody knows is never decided by one person, with or
// without a policy; whoever decides sees what the provider answered last.
func TestAnUnknownOutcomeIsDecidedByTwo(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	rich := f.post("/v1/merchants", `{"reference":"rich","name":"n","settlement":"T0","payout_account":{"channel":"alipay","account":"a@example.com","name":"Ann"}}`).field("id")
	f.merchant = rich
	f.fund(1000)
	withdrawalID := f.post("/v1/withdrawals", `{"merchant_id":"`+rich+`","reference":"w","amount":{"amount":1000,"currency":"CNY"}}`, f.maker...).field("id")
	resolve := func(decision string, headers ...string) response {
		return f.post("/v1/withdrawals/"+withdrawalID+"/resolve", `{"decision":"`+decision+`","reason":"asked Alipay"}`, headers...)
	}
	resolve("failed", f.maker...).refused(http.StatusUnprocessableEntity, "outcome_not_unresolved", "")
	_, err := f.db.Pool.Exec(t.Context(), `insert into unresolved (tenant_id, object_id, number, code, answer_code, answered_at)
		select tenant_id, id, number, 'REPEAT_OVER', 'NOT_FOUND', suanpan_now() from withdrawals where id = $1`, withdrawalID)
	require.NoError(t, err)
	seen := f.get("/v1/withdrawals/" + withdrawalID)
	f.conforms(seen, "Withdrawal")
	require.Equal(t, "NOT_FOUND", seen.json()["unresolved"].(map[string]any)["last_answer_code"])
	resolve("perhaps", f.maker...).refused(http.StatusBadRequest, "value_unknown", "decision")
	resolve("failed", f.checker...).refused(http.StatusForbidden, "role_missing", "")

	asked, other := resolve("failed", f.maker...), resolve("new_number", f.maker...)
	require.Equal(t, http.StatusAccepted, asked.Code, asked.Body)
	f.conforms(asked, "Approval")
	preview := asked.json()["preview"].(map[string]any)
	require.Equal(t, withdrawalID, preview["withdrawal_id"])
	require.Equal(t, "NOT_FOUND", preview["last_answer_code"])
	require.Equal(t, "The provider does not know this number.", preview["last_answer"].(map[string]any)["en"])
	require.Zero(t, f.count(`unresolved where decision is not null`), "one person has decided nothing")
	f.approve(asked, f.maker...).refused(http.StatusForbidden, "role_missing", "")
	f.approve(asked).refused(http.StatusForbidden, "second_person_unnamed", "")

	done := f.approve(asked, f.checker...)
	require.Equal(t, http.StatusCreated, done.Code, done.Body)
	require.Equal(t, withdrawalID, done.field("object_id"))
	require.Equal(t, 1, f.count(`unresolved where decision = 'failed' and reason = 'asked Alipay'`))
	f.approve(other, f.checker...).refused(http.StatusConflict, "outcome_decided", "")
	resolve("new_number", f.maker...).refused(http.StatusConflict, "outcome_decided", "")
	_, err = f.db.Pool.Exec(t.Context(), `update unresolved set decision = 'new_number'`)
	require.ErrorContains(t, err, "it was decided already", "by whomever")

	alone := newFixture(t)
	alone.post("/v1/withdrawals/"+id.New(id.Withdrawal)+"/resolve", `{"decision":"failed","reason":"r"}`).refused(http.StatusNotFound, "not_found", "")
}

// Every operation that moves money or trust names its kind of approval, and each is
// stopped by a policy of that kind.
func TestEveryKindIsStopped(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	want := map[string]approval.Kind{
		"createRefund": approval.Refund, "redirectRefund": approval.Refund, "createWithdrawal": approval.Withdrawal,
		"createTransfer": approval.Transfer, "createTransferBatch": approval.Transfer, "createSplitRule": approval.SplitRule,
		"releaseHold": approval.HoldRelease, "createChannelCredentials": approval.ChannelCredentials,
		"retireChannelCredentials": approval.ChannelCredentials, "changeAccountLimits": approval.AccountLimits,
		"changeAccountStatus": approval.AccountStatus, "createPrincipal": approval.Access, "changePrincipal": approval.Access,
		"bindPrincipalKey": approval.Access, "changeApprovalPolicy": approval.Access,
		"resolveRefund": approval.UnknownOutcome, "resolveWithdrawal": approval.UnknownOutcome,
		"forgetPayee": approval.Forget, "forgetPayer": approval.Forget,
	}
	for _, kind := range approval.Kinds() {
		f.post("/v1/approval_policies", `{"kind":"`+string(kind)+`","required":true,"reason":"r"}`, f.admin...).refusedOrWaits(f)
	}
	before := f.count(`approvals`)
	everyOperation(t, func(op *operation, target string) {
		name := op.route.Operation.OperationID
		require.Equal(t, want[name], op.approval, name)
		if op.approval == "" || name == "createChannelCredentials" || op.approval == approval.UnknownOutcome { // have tests of their own
			return
		}
		resp := f.call(op, target)
		require.Equal(t, http.StatusAccepted, resp.Code, "%s: %s", name, resp.Body)
		before++
		require.Equal(t, before, f.count(`approvals`), name)
	})
	require.Zero(t, f.count(`transfers`)+f.count(`withdrawals`)+f.count(`refunds`))
	require.Equal(t, http.StatusUnprocessableEntity, func() int {
		_, key := f.newTenant()
		return f.post("/v1/approval_policies", `{"kind":"refund","required":true,"reason":"r"}`, as(key)...).Code
	}(), "no policy before somebody can approve")
}

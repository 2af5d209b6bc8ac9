package api

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/access"
	"github.com/suanpan/suanpan/core/approval"
)

const anyPublicKey = `{"name":"n","public_key":"JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="}`

// keyOf is the id of a principal's key.
func (f *fixture) keyOf(principalID string) (keyID string) {
	f.t.Helper()
	require.NoError(f.t, f.db.Pool.QueryRow(f.t.Context(), `select id from api_keys where tenant_id = $1 and principal_id = $2`,
		f.tenant, principalID).Scan(&keyID))
	return keyID
}

// Whoever gets the secret of a checker's key approves what he asked for: neither the
// tenant's application nor a colleague gets it. The checker changes it alone.
func TestNobodyTakesTheCheckersKey(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	key := "/v1/api_keys/" + f.keyOf(f.checkerID)
	_, support := f.staff(access.Support)
	for _, thief := range [][]string{as(f.key), f.admin, f.maker, as(support)} {
		f.post(key+"/rotate", `{"overlap":0}`, thief...).refused(http.StatusForbidden, "key_too_wide", "")
		f.post(key+"/rotate", `{"overlap":3600}`, thief...).refused(http.StatusForbidden, "key_too_wide", "")
		f.post(key+"/signing_keys", anyPublicKey, thief...).refused(http.StatusForbidden, "key_too_wide", "")
	}
	asked := f.ask("t-1")
	own := f.post(key+"/rotate", `{"overlap":0}`, f.checker...)
	require.Equal(t, http.StatusOK, own.Code, own.Body)
	f.checker = as(own.field("secret"))
	require.Equal(t, http.StatusCreated, f.post(key+"/signing_keys", anyPublicKey, f.checker...).Code)
	require.Equal(t, http.StatusCreated, f.approve(asked, f.checker...).Code)
	// The application's own keys are its own, with policies and without.
	require.Equal(t, http.StatusOK, f.post("/v1/api_keys/"+f.ownKey()+"/rotate", `{"overlap":3600}`).Code)

	// Without a policy nobody is held: the application manages everybody's keys.
	free := newFixture(t)
	personID, _ := free.staff(access.FinanceChecker)
	require.Equal(t, http.StatusOK, free.post("/v1/api_keys/"+free.keyOf(personID)+"/rotate", `{"overlap":0}`).Code)
}

// Money that comes in can be turned to another merchant by a split rule, without any
// transfer: a policy of its own holds that.
func TestASplitRuleCanNeedASecondPerson(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	rule := `{"merchant_id":"` + f.merchant + `","legs":[{"receiver":"merchant","merchant_id":"` + f.other + `","type":"percent","basis_points":9999},
		{"receiver":"merchant","merchant_id":"` + f.merchant + `","type":"remainder"}]}`
	made := f.post("/v1/split_rules", rule, f.admin...)
	require.Equal(t, http.StatusCreated, made.Code, "no policy says anything of rules: %s", made.Body)
	f.post("/v1/approval_policies", `{"kind":"split_rule","required":true,"reason":"r"}`, f.admin...).refusedOrWaits(f)
	asked := f.post("/v1/split_rules", rule, f.admin...)
	require.Equal(t, http.StatusAccepted, asked.Code, asked.Body)
	f.conforms(asked, "Approval")
	require.Equal(t, f.other, asked.json()["content"].(map[string]any)["legs"].([]any)[0].(map[string]any)["merchant_id"])
	require.Equal(t, 1, f.count(`split_rules`))
	done := f.approve(asked, f.checker...)
	require.Equal(t, http.StatusCreated, done.Code, done.Body)
	require.Equal(t, f.merchant, f.get("/v1/split_rules/"+done.field("object_id")).field("merchant_id"))
}

// Who creates a merchant chooses where its withdrawals go, alone; whoever approves one
// sees that, masked.
func TestTheDestinationOfAWithdrawalIsShownMasked(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	f.post("/v1/approval_policies", `{"kind":"withdrawal","required":true,"reason":"r"}`, f.admin...).refusedOrWaits(f)
	withdraw := func(merchantID string) response {
		asked := f.post("/v1/withdrawals", `{"merchant_id":"`+merchantID+`","reference":"w","amount":{"amount":100,"currency":"CNY"}}`, f.maker...)
		require.Equal(t, http.StatusAccepted, asked.Code, asked.Body)
		f.conforms(asked, "Approval")
		return asked
	}
	asked := withdraw(f.withPayee("rich"))
	seen := asked.json()["preview"].(map[string]any)["payout_account"].(map[string]any)
	require.Equal(t, "alipay", seen["channel"])
	require.Contains(t, seen["account"], "*")
	require.Contains(t, seen["name"], "*")
	require.NotContains(t, asked.Body.String(), canaryAccount)
	require.NotContains(t, asked.Body.String(), canaryName)
	require.Equal(t, map[string]any{"merchant_id": f.other}, withdraw(f.other).json()["preview"], "it has no account")
}

// Each operation that changes anything names a kind of approval, or stands in
// docs/security.md with the reason why one person may do it.
func TestWhatOnePersonMayDoHasAReason(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/security.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "### What one person may do")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	everyOperation(t, func(op *operation, _ string) {
		name := op.route.Operation.OperationID
		if op.route.Method == http.MethodGet || op.operator {
			return
		}
		require.Equal(t, op.approval == approval.Kind(""), strings.Contains(section, "`"+name+"`"), name)
	})
}

package activities_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/activities"
)

// The workflows decode each state over the one before: a field that its JSON
// leaves out would keep the older value.
func TestStatesReplaceOlderStatesCompletely(t *testing.T) {
	t.Parallel()
	for _, full := range []any{
		&activities.PaymentState{Status: "processing", Final: true, ChannelCode: "X", ExpiresAt: time.Now(), Expired: true, Cancelling: true,
			Live: []activities.AttemptState{{ID: "att_1"}}},
		&activities.AttemptState{ID: "att_1", Channel: "alipay", Preparing: true, ByCode: true, SentAt: time.Now(), Undoing: true, Unseen: true},
		&activities.MovingState{Status: "processing", Final: true, Channel: "alipay", Outcome: activities.Refused, ChannelCode: "X", Redirect: true},
		&activities.LateState{Channel: "alipay", ChannelCode: "X", Settled: true, RefundID: "rfd_1", NotPaid: true},
		&activities.ReconciliationState{Status: "processing", Final: true, Channel: "alipay", Stored: true, ChannelCode: "X", Refused: true, Open: 7},
	} {
		kind := reflect.TypeOf(full).Elem()
		t.Run(kind.Name(), func(t *testing.T) {
			t.Parallel()
			older := reflect.ValueOf(full).Elem()
			for i := range kind.NumField() {
				require.False(t, older.Field(i).IsZero(), "fill in the new field %s here", kind.Field(i).Name)
				tag := kind.Field(i).Tag.Get("json")
				require.False(t, tag == "" || tag == "-" || strings.Contains(tag, "omit"), "%s: %q", kind.Field(i).Name, tag)
			}
			text, err := json.Marshal(reflect.Zero(kind).Interface())
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, full))
			require.True(t, older.IsZero(), "%+v", full)
		})
	}
}

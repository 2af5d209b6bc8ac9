package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/refund"
)

// A look asks until there is a usable answer, and leaves it to the next look when
// there is none.
func TestALookForAReturn(t *testing.T) {
	t.Parallel()
	found := func(status activities.ReturnStatus) reply[activities.ReturnState] {
		return say(activities.ReturnState{Status: status, Channel: "alipay", ChannelCode: "CODE"})
	}
	unclear := found(activities.Unclear)
	var never []reply[activities.ReturnState]
	for range 11 {
		never = append(never, unclear)
	}
	for name, c := range map[string]struct {
		read  reply[activities.ReturnState]
		finds []reply[activities.ReturnState]
		end   activities.ReturnStatus
	}{
		"it is where it went":     {unclear, []reply[activities.ReturnState]{found(activities.Standing)}, activities.Standing},
		"it came back":            {unclear, []reply[activities.ReturnState]{found(activities.Returned)}, activities.Returned},
		"at last an answer":       {unclear, []reply[activities.ReturnState]{unclear, unclear, found(activities.Returned)}, activities.Returned},
		"known already":           {found(activities.Returned), nil, activities.Returned},
		"no usable answer at all": {unclear, never, activities.Unclear},
	} {
		for noun, workflowType := range map[string]string{"Withdrawal": payout.ReturnWorkflowType, "Refund": refund.ReturnWorkflowType} {
			t.Run(noun+" "+name, func(t *testing.T) {
				t.Parallel()
				s := newScript(t)
				plays(s, "ReadPaid"+noun, c.read)
				plays(s, "FindReturned"+noun, c.finds...)
				require.Equal(t, c.end, ends[activities.ReturnState](s, workflowType).Status)
				require.Len(t, s.calls, 1+len(c.finds))
			})
		}
	}
}

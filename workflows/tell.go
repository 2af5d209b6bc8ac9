package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"
)

// tell says in words what the workflow does or waits for; operators read it as
// the workflow's current details in the Temporal Web UI.
func tell(ctx workflow.Context, format string, args ...any) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf(format, args...))
}

package temporaltest

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/temporaldev"
)

// Namespace is one test's own part of the server.
type Namespace struct {
	Address string // host:port
	Name    string
	Client  client.Client // closed when the test ends
}

// New makes a namespace for t, so that its workers see only its workflows.
func New(t testing.TB) *Namespace {
	t.Helper()
	address := os.Getenv(AddressVariable)
	require.NotEmpty(t, address, "no Temporal server for tests: wrap TestMain's m in temporaltest.With, or set "+
		AddressVariable)
	return NewAt(t, address)
}

// NewAt is New on a server of the test's own.
func NewAt(t testing.TB, address string) *Namespace {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	name := "test-" + strings.ToLower(id.Number())
	register(ctx, t, address, name)
	c, err := client.DialContext(ctx, client.Options{HostPort: address, Namespace: name, Logger: temporaldev.Quiet()})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return &Namespace{Address: address, Name: name, Client: c}
}

func register(ctx context.Context, t testing.TB, address, name string) {
	t.Helper()
	admin, err := client.DialContext(ctx, client.Options{HostPort: address, Logger: temporaldev.Quiet()})
	require.NoError(t, err)
	defer admin.Close()
	_, err = admin.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: name, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour)})
	require.NoError(t, err)

	wanted := map[string]enumspb.IndexedValueType{}
	for _, attribute := range temporaldev.SearchAttributes() {
		wanted[attribute] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
	}
	// The server learns of a new namespace after a moment.
	require.Eventually(t, func() bool {
		_, err = admin.OperatorService().AddSearchAttributes(ctx,
			&operatorservice.AddSearchAttributesRequest{Namespace: name, SearchAttributes: wanted})
		return err == nil && temporaldev.Ready(ctx, address, name) == nil
	}, 30*time.Second, 50*time.Millisecond, "register search attributes: %v", err)
}

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/payload"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/workflows"
)

// Retention is how long Temporal keeps the history of a closed workflow.
const Retention = 30 * 24 * time.Hour

// DialTemporal connects to Temporal. It does not wait for the server: calls fail
// until it answers. codec encrypts payloads and failures. The interceptors also wrap
// what workers made from it run.
func DialTemporal(
	cfg config.Core, codec converter.PayloadCodec, logger *slog.Logger, interceptors ...interceptor.ClientInterceptor,
) (client.Client, error) {
	payloads := payload.Converter(codec)
	connection, err := temporalConnection(cfg)
	if err != nil {
		return nil, err
	}
	c, err := client.NewLazyClient(client.Options{
		HostPort:          cfg.TemporalAddress,
		Namespace:         cfg.TemporalNamespace,
		Logger:            log.NewStructuredLogger(logger),
		DataConverter:     payloads,
		FailureConverter:  payload.Failures(payloads),
		Interceptors:      interceptors,
		ConnectionOptions: connection,
	})
	if err != nil {
		return nil, fmt.Errorf("temporal at %s: %w", cfg.TemporalAddress, err)
	}
	return c, nil
}

// NewCodec returns what encrypts payloads under the platform's keys in db.
func NewCodec(db *pg.DB, box *secret.Box) *payload.Codec {
	return payload.NewCodec(secret.NewRing(db, box, secret.Payloads))
}

// noPayloads is the codec of those who only administrate: it refuses payloads, so
// that none leaves unencrypted.
type noPayloads struct{}

func (noPayloads) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	if len(payloads) == 0 {
		return payloads, nil
	}
	return nil, errors.New("this command holds no key to encrypt payloads with")
}

func (noPayloads) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	return payloads, nil
}

// PrepareTemporal makes the namespace and the search attributes. Idempotent.
func PrepareTemporal(ctx context.Context, cfg config.Core, logger *slog.Logger) error {
	c, err := DialTemporal(cfg, noPayloads{}, logger)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := makeNamespace(ctx, c, cfg.TemporalNamespace); err != nil {
		return fmt.Errorf("temporal namespace %s at %s: %w", cfg.TemporalNamespace, cfg.TemporalAddress, err)
	}
	if err := makeSearchAttributes(ctx, c, cfg.TemporalNamespace); err != nil {
		return fmt.Errorf("temporal search attributes at %s: %w", cfg.TemporalAddress, err)
	}
	return nil
}

func makeNamespace(ctx context.Context, c client.Client, name string) error {
	_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace:                        name,
		Description:                      "Suanpan payment platform",
		WorkflowExecutionRetentionPeriod: durationpb.New(Retention),
	})
	var exists *serviceerror.NamespaceAlreadyExists
	if errors.As(err, &exists) {
		return nil
	}
	return err
}

func makeSearchAttributes(ctx context.Context, c client.Client, namespace string) error {
	names := []string{workflows.AttributeTenant, workflows.AttributeMerchant,
		workflows.AttributeBusinessID, workflows.AttributeChannel}
	var missing map[string]enumspb.IndexedValueType
	// A namespace made a moment ago takes some seconds to be known everywhere.
	err := retry(ctx, func() error {
		listed, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
		if err != nil {
			return err
		}
		missing = map[string]enumspb.IndexedValueType{}
		for _, name := range names {
			if _, ok := listed.CustomAttributes[name]; !ok {
				missing[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
			}
		}
		return nil
	})
	if err != nil || len(missing) == 0 {
		return err
	}
	return retry(ctx, func() error {
		_, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
			Namespace: namespace, SearchAttributes: missing,
		})
		return err
	})
}

// retry calls fn until it succeeds, ctx ends, or half a minute has passed.
func retry(ctx context.Context, fn func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := fn()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(300 * time.Millisecond):
		}
	}
}

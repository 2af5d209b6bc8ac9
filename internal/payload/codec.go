package payload

import (
	"context"
	"fmt"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"
)

// The metadata of an encrypted payload: its encoding, and the id of its key, which is
// for people: what is opened says itself which key it needs.
const (
	Encoding    = "binary/encrypted"
	metaKeyID   = "encryption-key-id"
	metaPurpose = "temporal.payload" // what a sealed payload is bound to
)

// sealTime bounds how long a key may take to come.
const sealTime = 10 * time.Second

// Keys seals and opens; it is secret.Ring.
type Keys interface {
	Seal(ctx context.Context, purpose string, plain []byte) (sealed []byte, keyID string, err error)
	Open(ctx context.Context, purpose string, sealed []byte) ([]byte, error)
}

// Codec encrypts every payload, metadata included, and decrypts what it encrypted.
// Payloads that were written before there was encryption are passed through.
type Codec struct{ keys Keys }

var _ converter.PayloadCodec = (*Codec)(nil)

// NewCodec returns a codec on keys.
func NewCodec(keys Keys) *Codec { return &Codec{keys} }

// Encode encrypts payloads.
func (c *Codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sealTime)
	defer cancel()
	out := make([]*commonpb.Payload, len(payloads))
	for i, plain := range payloads {
		text, err := proto.Marshal(plain)
		if err != nil {
			return nil, fmt.Errorf("encrypt payload: %w", err)
		}
		sealed, keyID, err := c.keys.Seal(ctx, metaPurpose, text)
		if err != nil {
			return nil, fmt.Errorf("encrypt payload: %w", err)
		}
		out[i] = &commonpb.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(Encoding), metaKeyID: []byte(keyID)},
			Data:     sealed,
		}
	}
	return out, nil
}

// Decode decrypts payloads and passes plain ones through.
func (c *Codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sealTime)
	defer cancel()
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if !Encrypted(p) {
			out[i] = p
			continue
		}
		text, err := c.keys.Open(ctx, metaPurpose, p.GetData())
		if err != nil {
			return nil, fmt.Errorf("decrypt payload under %q: %w", p.GetMetadata()[metaKeyID], err)
		}
		out[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(text, out[i]); err != nil {
			return nil, fmt.Errorf("decrypt payload: %w", err)
		}
	}
	return out, nil
}

// Encrypted reports whether Encode made p.
func Encrypted(p *commonpb.Payload) bool {
	return string(p.GetMetadata()[converter.MetadataEncoding]) == Encoding
}

// Converter is how every client and worker with this codec encodes payloads. The
// first use of a key asks the database, so time in it does not speak for a deadlock
// in a workflow.
func Converter(codec converter.PayloadCodec) converter.DataConverter {
	encoding := converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), codec)
	return workflow.DataConverterWithoutDeadlockDetection(encoding)
}

// Failures is how failures are written: their message and stack trace, which may
// repeat what a provider or a database said, are a payload too.
func Failures(payloads converter.DataConverter) converter.FailureConverter {
	return temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
		DataConverter: payloads, EncodeCommonAttributes: true})
}

// DecodeHistory decrypts a history in place, so that it replays without a key.
func DecodeHistory(ctx context.Context, codec converter.PayloadCodec, history *historypb.History) error {
	return proxy.VisitPayloads(ctx, history, proxy.VisitPayloadsOptions{
		SkipSearchAttributes: true,
		Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
			return codec.Decode(payloads)
		},
	})
}

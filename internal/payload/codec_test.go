package payload_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"

	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/payload"
	"github.com/suanpan/suanpan/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const canary = "canary-13800138000"

func newRing(t *testing.T, db *pgtest.Database, masters string) *secret.Ring {
	t.Helper()
	keys, err := secret.ParseMasters(masters)
	require.NoError(t, err)
	box, err := secret.NewBox(keys)
	require.NoError(t, err)
	return secret.NewRing(db.DB, box, secret.Payloads)
}

func TestPayloadsAreEncryptedAndReadBack(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	one, two := secret.NewMasterKeyText(), secret.NewMasterKeyText()
	ring := newRing(t, db, one)
	codec := payload.NewCodec(ring)
	dc := payload.Converter(codec)
	in := map[string]any{"phone": canary}

	written, err := dc.ToPayload(in)
	require.NoError(t, err)
	require.True(t, payload.Encrypted(written))
	raw, err := proto.Marshal(written)
	require.NoError(t, err)
	require.NotContains(t, string(raw), "13800138000")
	require.NotContains(t, string(raw), "json/plain", "the metadata is inside too")
	require.Contains(t, string(written.Metadata["encryption-key-id"]), "platform/payloads/1/")
	var out map[string]any
	require.NoError(t, dc.FromPayload(written, &out))
	require.Equal(t, in, out)

	// What was written before there was encryption is passed through.
	plain, err := converter.GetDefaultDataConverter().ToPayload(in)
	require.NoError(t, err)
	require.NoError(t, dc.FromPayload(plain, &out))

	// Another process reads it; after both rotations, with the new master key alone.
	require.NoError(t, payload.Converter(payload.NewCodec(newRing(t, db, one))).FromPayload(written, &out))
	keyID, err := ring.Rotate(t.Context())
	require.NoError(t, err)
	require.Contains(t, keyID, "platform/payloads/2/")
	later, err := dc.ToPayload(in)
	require.NoError(t, err)
	require.Equal(t, keyID, string(later.Metadata["encryption-key-id"]))
	keys, err := secret.ParseMasters(two + one)
	require.NoError(t, err)
	box, err := secret.NewBox(keys)
	require.NoError(t, err)
	require.NoError(t, db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		n, err := box.Rewrap(t.Context(), tx, 100)
		require.Equal(t, 2, n)
		return err
	}))
	for _, p := range []*commonpb.Payload{written, later} {
		require.NoError(t, payload.Converter(payload.NewCodec(newRing(t, db, two))).FromPayload(p, &out))
		require.Equal(t, in, out)
		require.ErrorContains(t, payload.Converter(payload.NewCodec(newRing(t, db, one))).FromPayload(p, &out), "which this process does not hold")
	}

	// Every changed byte is noticed, and nothing else than a payload opens as one.
	for i := range written.Data {
		spoilt := proto.CloneOf(written)
		spoilt.Data[i] ^= 1
		require.ErrorIs(t, dc.FromPayload(spoilt, &out), secret.ErrNotOpened, "byte %d", i)
	}
	other, _, err := ring.Seal(t.Context(), "something else", []byte("x"))
	require.NoError(t, err)
	_, err = codec.Decode([]*commonpb.Payload{{Metadata: written.Metadata, Data: other}})
	require.ErrorIs(t, err, secret.ErrNotOpened)
}

// A key that is known needs no database any more.
func TestKeysAreKept(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	codec := payload.NewCodec(newRing(t, db, secret.NewMasterKeyText()))
	in := []*commonpb.Payload{{Data: []byte(canary)}}
	sealed, err := codec.Encode(in)
	require.NoError(t, err)
	db.DB.Close()
	again, err := codec.Encode(in)
	require.NoError(t, err)
	require.NotEqual(t, sealed[0].Data, again[0].Data)
	opened, err := codec.Decode(append(sealed, again...))
	require.NoError(t, err)
	for _, p := range opened {
		require.Equal(t, canary, string(p.Data))
	}
}

func TestFailuresAreEncrypted(t *testing.T) {
	t.Parallel()
	codec := payload.NewCodec(newRing(t, pgtest.New(t), secret.NewMasterKeyText()))
	failures := payload.Failures(payload.Converter(codec))
	cause := temporal.NewApplicationErrorWithCause("provider said "+canary, "Refused", errors.New(canary+" inside"), canary)
	written := failures.ErrorToFailure(cause)
	raw, err := proto.Marshal(written)
	require.NoError(t, err)
	require.NotContains(t, string(raw), "13800138000")
	require.Equal(t, "Encoded failure", written.Message)
	require.Equal(t, "Encoded failure", written.Cause.Message)
	back := failures.FailureToError(written)
	require.ErrorContains(t, back, "provider said "+canary)
	require.ErrorContains(t, errors.Unwrap(back), canary+" inside")
	var as *temporal.ApplicationError
	require.ErrorAs(t, back, &as)
	require.Equal(t, "Refused", as.Type(), "what code decides by stays readable")
}

// Histories from before encryption are read as they are.
func TestDecodingAPlainHistoryChangesNothing(t *testing.T) {
	t.Parallel()
	codec := payload.NewCodec(newRing(t, pgtest.New(t), secret.NewMasterKeyText()))
	const dir = "../../workflows/testdata/histories"
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(dir + "/" + file.Name())
		require.NoError(t, err)
		history, err := client.HistoryFromJSON(strings.NewReader(string(text)), client.HistoryJSONOptions{})
		require.NoError(t, err)
		before, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(history)
		require.NoError(t, err)
		require.NoError(t, payload.DecodeHistory(t.Context(), codec, history))
		after, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(history)
		require.NoError(t, err)
		require.JSONEq(t, string(before), string(after), file.Name())
		require.NotContains(t, string(text), payload.Encoding, "the corpus stays plain")
	}
}

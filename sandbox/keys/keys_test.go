package keys_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/sandbox/keys"
)

func testdata(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(text)
}

func TestSignaturesOfOthersVerify(t *testing.T) {
	t.Parallel()
	public, serial, err := keys.ParsePublicKey(testdata(t, "wechatpay_public_key.pem"))
	require.NoError(t, err)
	require.Empty(t, serial)
	signature := strings.TrimSpace(testdata(t, "wechatpay_signature.txt"))
	require.NoError(t, keys.Verify(public, "source", signature))
	require.Error(t, keys.Verify(public, "Source", signature))
	require.Error(t, keys.Verify(public, "source", signature[:len(signature)-4]))
	require.Error(t, keys.Verify(public, "source", "WECHATPAY/SIGNTEST/"+signature))
}

func TestANotificationOfOthersVerifies(t *testing.T) {
	t.Parallel()
	public, serial, err := keys.ParsePublicKey(testdata(t, "wechatpay_certificate.pem"))
	require.NoError(t, err)
	require.Equal(t, "D7CE59D1F522D701", serial)
	message := testdata(t, "wechatpay_notification.txt")
	require.NoError(t, keys.Verify(public, message, strings.TrimSpace(testdata(t, "wechatpay_notification_signature.txt"))))
}

func TestKeysAreMadeOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made, err := keys.LoadOrCreate(dir)
	require.NoError(t, err)
	require.Regexp(t, `^PUB_KEY_ID_[0-9]{28}$`, made.PublicKeyID)
	require.Regexp(t, `^[0-9A-F]{40}$`, made.Platform().Serial)
	loaded, err := keys.LoadOrCreate(dir)
	require.NoError(t, err)
	require.Equal(t, made.PublicKeyID, loaded.PublicKeyID)
	require.Equal(t, made.Platform().Serial, loaded.Platform().Serial)
	require.True(t, made.Alipay().Key.Equal(loaded.Alipay().Key))

	signature, err := keys.Sign(made.Alipay().Key, "text")
	require.NoError(t, err)
	public, _, err := keys.ParsePublicKey(keys.PublicPEM(loaded.Alipay().Key))
	require.NoError(t, err)
	require.NoError(t, keys.Verify(public, "text", signature))
	bare := strings.Join(strings.Split(strings.TrimSpace(keys.PublicPEM(made.Alipay().Key)), "\n")[1:8], "")
	bare = strings.TrimSuffix(bare, "-----END PUBLIC KEY-----")
	_, _, err = keys.ParsePublicKey(bare)
	require.NoError(t, err, "the bare base64 of Alipay's console")
}

func TestWhatIsNoKeyIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "!", "AAAA", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"} {
		_, _, err := keys.NormalisePublicKey(text)
		require.Error(t, err, text)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alipay_private_key.pem"), []byte("no key"), 0o600))
	_, err := keys.LoadOrCreate(dir)
	require.ErrorContains(t, err, "delete it to have a new key made")
}

func TestThePlatformCertificateChangesInStages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k, err := keys.LoadOrCreate(dir)
	require.NoError(t, err)
	first := k.Platform()
	require.ErrorIs(t, k.Rotate(keys.Switch), keys.ErrStage)
	require.ErrorIs(t, k.Rotate(keys.Retire), keys.ErrStage)
	require.ErrorIs(t, k.Rotate("other"), keys.ErrStage)

	require.NoError(t, k.Rotate(keys.Publish))
	require.Equal(t, first.Serial, k.Platform().Serial, "the old one goes on signing")
	require.Len(t, k.PlatformCertificates(), 2)
	second := k.PlatformCertificates()[1]
	require.NotEqual(t, first.Serial, second.Serial)
	require.ErrorIs(t, k.Rotate(keys.Publish), keys.ErrStage)

	require.NoError(t, k.Rotate(keys.Switch))
	require.Equal(t, second.Serial, k.Platform().Serial)
	_, known := k.PlatformBySerial(first.Serial)
	require.True(t, known)

	again, err := keys.LoadOrCreate(dir)
	require.NoError(t, err)
	require.Equal(t, second.Serial, again.Platform().Serial, "a restart goes on where it was")
	require.NoError(t, again.Rotate(keys.Retire))
	_, known = again.PlatformBySerial(first.Serial)
	require.False(t, known)
	require.Len(t, again.PlatformCertificates(), 1)
}

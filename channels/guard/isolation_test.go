package guard_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/channels/alipay"
	"github.com/suanpan/suanpan/channels/guard"
	"github.com/suanpan/suanpan/channels/wechatpay"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/internal/telemetry"
	"github.com/suanpan/suanpan/money"
	"github.com/suanpan/suanpan/sandbox"
	"github.com/suanpan/suanpan/sandbox/keys"
)

// `make bench-isolation` gives these; without them the test is a smoke test that
// holds no times.
var (
	rounds = flag.Int("isolation.rounds", 0, "measure so many rounds with a slow channel account and as many without")
	length = flag.Duration("isolation.for", 3*time.Second, "how long a round lasts")
)

// TestASlowAccountSlowsNobodyElse: a channel account whose provider takes 30 s for
// every answer, with as many calls under way as it may have and more wanted all the
// time, beside an account of the same provider and one of another. Every call of
// those two succeeds, and takes no longer than without their neighbour.
func TestASlowAccountSlowsNobodyElse(t *testing.T) {
	t.Parallel()
	measured, each := *rounds, *length
	if measured == 0 {
		measured, each = 1, 300*time.Millisecond
	}
	guards := guard.New(guard.Limits{MinCalls: 1 << 20}, guard.Ports{
		Record: func(channel.Call) {}, Tell: func(channel.Health) {}, Metrics: telemetry.New().Channels})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	slowBox := openBox(t)
	slow := guards.Wrap(guard.Account{ID: "slow"}, slowBox.alipay(t, key))
	slowBox.control(t, "/control/faults", map[string]any{"provider": "alipay", "kind": "slow", "delay_ms": 30_000, "rate": 1}, nil)
	queue := make(chan struct{}, 64)
	others := []customer{
		{guards.Wrap(guard.Account{ID: "neighbour"}, openBox(t).alipay(t, key)), queue},
		{guards.Wrap(guard.Account{ID: "other provider"}, openBox(t).wechat(t, key)), make(chan struct{}, 64)},
	}
	round(t, others, each/3) // warms up connections
	var alone, beside []time.Duration
	for i := range measured {
		without := round(t, others, each)
		ctx, cancel := context.WithCancel(t.Context())
		refused := crowd(ctx, t, customer{slow, queue})
		with := round(t, others, each)
		notSent := refused()
		cancel()
		alone, beside = append(alone, p95(without)), append(beside, p95(with))
		t.Logf("round %d: alone %d calls, p95 %s; beside %d calls, p95 %s; the slow account's bulkhead refused %d",
			i+1, len(without), p95(without), len(with), p95(with), notSent)
		require.Positive(t, notSent, "its bulkhead was full")
	}
	if *rounds == 0 {
		return
	}
	ratio := float64(median(beside)) / float64(median(alone))
	t.Logf("median p95 over %d rounds: alone %s, beside the slow account %s: %.2f times", measured, median(alone), median(beside), ratio)
	require.LessOrEqual(t, ratio, 1.5)
}

// customer is a channel account with the slots of its provider's task queue, which
// it shares with the other accounts of that provider as in a worker. A call of an
// activity holds a slot.
type customer struct {
	channel.Adapter
	queue chan struct{}
}

func (c customer) do(activity func()) {
	c.queue <- struct{}{}
	defer func() { <-c.queue }()
	activity()
}

// round makes calls of customers, four callers each, and returns how long each
// call took. Every call succeeds.
func round(t *testing.T, customers []customer, each time.Duration) []time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), each)
	defer cancel()
	var mu sync.Mutex
	var took []time.Duration
	var failed []channel.Answer
	var callers sync.WaitGroup
	for _, each := range customers {
		for range 4 {
			callers.Go(func() {
				for ctx.Err() == nil {
					times, answers := trade(t.Context(), each)
					mu.Lock()
					took = append(took, times...)
					for _, answer := range answers {
						if answer.Outcome != channel.Succeeded {
							failed = append(failed, answer)
						}
					}
					mu.Unlock()
				}
			})
		}
	}
	callers.Wait()
	require.Empty(t, failed)
	require.NotEmpty(t, took)
	return took
}

// trade prepares a trade and asks for it. The wait for a slot counts.
func trade(ctx context.Context, c customer) (took []time.Duration, answers []channel.Answer) {
	number := ulid.MustNew(ulid.Now(), rand.Reader).String()
	call := func(make func() (channel.Answer, error)) {
		begin := time.Now()
		c.do(func() {
			answer, err := make()
			if err != nil {
				answer = channel.Answer{Outcome: channel.CallError, Message: err.Error()}
			}
			answers = append(answers, answer)
		})
		took = append(took, time.Since(begin))
	}
	call(func() (channel.Answer, error) {
		prepaid, err := c.Prepay(ctx, order(number))
		return prepaid.Answer, err
	})
	call(func() (channel.Answer, error) {
		asked, err := c.QueryTrade(ctx, number)
		return asked.Answer, err
	})
	return took, answers
}

func order(number string) channel.PrepayOrder {
	return channel.PrepayOrder{Number: number, Amount: money.Fen(100), Subject: "tea", NotifyURL: "http://127.0.0.1:9/notify",
		Product: channel.ProductQR, ExpiresAt: time.Now().Add(time.Hour)}
}

// crowd wants 128 calls of c at a time until ctx ends, each trying again soon after
// it was refused: more than there are slots. It returns once the bulkhead is full;
// the function it returns tells how many calls were refused since.
func crowd(ctx context.Context, t *testing.T, c customer) (refused func() int) {
	t.Helper()
	var count atomic.Int64
	for range 128 {
		go func() {
			for ctx.Err() == nil {
				c.do(func() {
					asked, err := c.QueryTrade(ctx, ulid.MustNew(ulid.Now(), rand.Reader).String())
					if err == nil && asked.Code == channel.CodeNotSent {
						count.Add(1)
					}
				})
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		}()
	}
	require.Eventually(t, func() bool { return count.Load() >= 128-16 }, 10*time.Second, time.Millisecond)
	before := count.Load()
	return func() int { return int(count.Load() - before) }
}

func p95(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)*95/100]
}

func median(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)/2]
}

// box is a sandbox of its own.
type box struct{ url string }

func openBox(t *testing.T) box {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := box{url: "http://" + listener.Addr().String()}
	server, err := sandbox.Open(sandbox.Config{DataDir: t.TempDir(), PublicURL: b.url})
	require.NoError(t, err)
	web := &httptest.Server{Listener: listener, Config: &http.Server{Handler: server.Handler(), ReadHeaderTimeout: time.Second}}
	web.Start()
	t.Cleanup(func() {
		web.CloseClientConnections() // a slow answer is not waited for
		web.Close()
		server.Wait()
		require.NoError(t, server.Close())
	})
	return b
}

func (b box) alipay(t *testing.T, key *rsa.PrivateKey) channel.Adapter {
	t.Helper()
	var answer map[string]string
	b.control(t, "/control/alipay/apps", map[string]any{"app_id": "2021000000000001", "seller_id": "2088000000000001",
		"app_public_key": keys.PublicPEM(key), "fee_basis_points": 60}, &answer)
	a, err := alipay.New(alipay.Config{GatewayURL: b.url + "/alipay/gateway.do", AppID: "2021000000000001", SellerID: "2088000000000001",
		AppPrivateKey: privatePEM(t, key), AlipayPublicKey: answer["alipay_public_key"]})
	require.NoError(t, err)
	return a
}

func (b box) wechat(t *testing.T, key *rsa.PrivateKey) channel.Adapter {
	t.Helper()
	const mch, app, serial, apiV3Key = "1900000109", "wx8888888888888888", "5157F09EFDC096DE15EBE81A47057A7232F1B8E1", "0123456789abcdef0123456789abcdef"
	var answer map[string]string
	b.control(t, "/control/wechatpay/merchants", map[string]any{"mchid": mch, "appid": app, "merchant_serial": serial,
		"merchant_public_key": keys.PublicPEM(key), "api_v3_key": apiV3Key, "fee_basis_points": 60}, &answer)
	a, err := wechatpay.New(wechatpay.Config{BaseURL: b.url + "/wechatpay", MchID: mch, AppID: app, MchCertSerial: serial,
		MchPrivateKey: privatePEM(t, key), PublicKeyID: answer["public_key_id"], PublicKey: answer["public_key"], APIv3Key: []byte(apiV3Key)})
	require.NoError(t, err)
	return a
}

func (b box) control(t *testing.T, path string, body, into any) {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+path, bytes.NewReader(text))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s: %s", path, answer)
	if into != nil {
		require.NoError(t, json.Unmarshal(answer, into))
	}
}

func privatePEM(t *testing.T, key *rsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

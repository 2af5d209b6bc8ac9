package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/suanpan/suanpan/client"
)

// workers is how many payers act at once.
const workers = 8

// run is one demo: whom it made, what it did, and what that must come to.
type run struct {
	opts    Options
	id      string // part of every reference and key
	api     *client.API
	sandbox *sandbox
	say     *progress
	hooks   *hooks
	// unanswered counts the exchanges that had to be repeated.
	unanswered atomic.Int64
	// endpoint is the id of our webhook endpoint.
	endpoint string
	// rates are the providers' contracts, by channel.
	rates map[string]rate
	head  partner
	agent partner
	// stores are the three merchants that sell.
	stores []*store
	// day is the business date on which everything happens, yyyy-mm-dd.
	day string

	mu          sync.Mutex
	sales       []*sale
	refunds     []*giveback
	withdrawals []client.Withdrawal
	seeds       []seed
	findings    []client.Discrepancy
	daily       client.DailyOperation
	reports     []client.Reconciliation
}

// rate is what a provider's contract says.
type rate struct {
	accountID   string
	basisPoints int64
	returned    bool
	merchant    string // our name at the provider
}

// Run does the demo and returns the first thing that is not as it must be.
func Run(ctx context.Context, o Options) error {
	r := &run{opts: o, id: strings.ToLower(rand.Text()[:10]),
		sandbox: newSandbox(o.SandboxURL), say: newProgress(o.Out, o.Terminal)}
	var err error
	if r.api, err = newAPI(o, &r.unanswered); err != nil {
		return err
	}
	defer r.say.clear()
	if r.hooks, err = listen(ctx); err != nil {
		return err
	}
	defer r.hooks.close()
	for _, phase := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"the platform", r.ready},
		{"opening the mall", r.open},
		{"collecting", r.collect},
		{"giving back, paying out, paying late", r.afterwards},
		{"closing the day", r.closeDay},
		{"checking the books", r.check},
	} {
		if err := phase.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", phase.name, err)
		}
	}
	return nil
}

// key is an Idempotency-Key, and also serves as a reference: the same for every
// try of one request, and never used by another run.
func (r *run) key(what string) string { return "demo-" + r.id + "-" + what }

// ready waits for the API and brings the two business clocks to one moment at
// which a business day can be played.
func (r *run) ready(ctx context.Context) error {
	for _, base := range r.opts.APIURLs {
		if err := r.answers(ctx, base); err != nil {
			return err
		}
	}
	accounts, err := got[client.ChannelAccountPage](r.api.ListChannelAccountsWithResponse(ctx))
	if err != nil {
		return err
	}
	r.rates = map[string]rate{}
	for _, a := range accounts.Data {
		known := rate{accountID: a.ID, basisPoints: int64(a.FeeBasisPoints), returned: a.FeeReturned, merchant: r.opts.Alipay}
		if a.Channel == wechatpay {
			known.merchant = r.opts.WeChatPay
		}
		r.rates[string(a.Channel)] = known
	}
	if len(r.rates) != 2 {
		return fmt.Errorf("the tenant has %d channel accounts; the demo needs one of Alipay and one of WeChat Pay", len(r.rates))
	}
	if err := r.alignClocks(ctx); err != nil {
		return err
	}
	if err := r.sandbox.honest(ctx, r.day); err != nil { // an interrupted run may have lied about this day
		return err
	}
	r.say.done("the API answers at %s; the business day is %s", strings.Join(r.opts.APIURLs, " and "), r.day)
	return nil
}

// answers waits until the API at base is healthy.
func (r *run) answers(ctx context.Context, base string) error {
	probe := &http.Client{Timeout: 3 * time.Second}
	return await(ctx, "the API at "+base, func() (string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
		if err != nil {
			return "", err
		}
		response, err := probe.Do(request)
		if err != nil {
			r.say.count("waiting for the API at %s", base)
			return "it does not answer (bring it up with `make up`)", nil
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return "it is not healthy: " + response.Status, nil
		}
		return "", nil
	})
}

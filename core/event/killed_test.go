package event

import (
	"context"
	"crypto/x509"
	"os"
	"time"

	"github.com/suanpan/suanpan/internal/pg"
)

// killedArg makes this test binary one of the senders of TestWebhooksUnderKills.
const killedArg = "send-until-killed"

// underKills are the options of the senders: retries that fit into a test.
func underKills() DispatcherOptions {
	opts := DispatcherOptions{Guard: loopback(), Box: box(), Poll: 50 * time.Millisecond, Lease: 5 * time.Second, Timeout: 2 * time.Second,
		Rest: 100 * time.Millisecond, LongestRest: time.Second, PerEndpoint: 8, PerTenant: 32}
	for wait := 100 * time.Millisecond; len(opts.Schedule) < 400; wait = min(2*wait, 2*time.Second) {
		opts.Schedule = append(opts.Schedule, wait)
	}
	return opts
}

// sendUntilKilled is the process that is killed. roots is a file of the certificate
// that the receivers show once they are well.
func sendUntilKilled(url, roots string) {
	ctx := context.Background()
	db, err := pg.Open(ctx, url, pg.Options{MaxConns: 12})
	if err != nil {
		panic(err)
	}
	opts := underKills()
	text, err := os.ReadFile(roots)
	if err != nil {
		panic(err)
	}
	opts.Roots = x509.NewCertPool()
	opts.Roots.AppendCertsFromPEM(text)
	NewDispatcher(db, opts).Run(ctx)
}

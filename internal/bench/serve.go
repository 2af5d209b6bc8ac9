package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/child"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/id"
)

// serve is the API as `starter serve` runs it, in a process of its own. No
// Temporal server is there: what is measured starts no workflow.
func serve(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "suanpan-bench-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	masterKey := filepath.Join(dir, "master.key")
	if err := app.EnsureMasterKey(masterKey); err != nil {
		return err
	}
	cfg := config.API{
		Core: config.Core{Env: config.Production, DatabaseURL: o.url, DatabaseMaxConns: int32(o.conns),
			TemporalAddress: "127.0.0.1:1", TemporalNamespace: "suanpan"},
		Channels: config.Channels{Secrets: config.Secrets{MasterKeyFile: masterKey}, PublicURL: "http://127.0.0.1"},
		// Rates are counted as everywhere, and so high that they refuse nothing.
		Serving: config.Serving{TenantMode: "test", RateTenant: 1_000_000, RateKey: 1_000_000},
		Traces:  config.Traces{TracesEndpoint: o.traces, TracesRatio: 1},
		Listen:  o.serve,
	}
	return app.RunAPI(ctx, cfg, app.NewLogger(os.Stderr, cfg.Core))
}

// api is that process, seen from outside.
type api struct {
	process *child.Process
	address string
	dir     string
	idle    chan *connection
	key     string
}

// apiStart bounds how long the API may take to come up.
const apiStart = 30 * time.Second

// startAPI starts one; its traces, if it is to make any, go to a URL.
func startAPI(ctx context.Context, b *books, conns int, traces string) (*api, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "suanpan-bench-api-")
	if err != nil {
		return nil, err
	}
	process, err := child.Start(child.Options{
		Cmd: exec.Command(self, "-serve", address, "-url", b.url, "-conns", strconv.Itoa(conns), "-traces", traces),
		Log: filepath.Join(dir, "log"), DieWithParent: true,
	})
	if err != nil {
		return nil, err
	}
	a := &api{process: process, address: address, dir: dir, idle: make(chan *connection, 1024), key: b.key}
	if err := a.waitUntilUp(ctx); err != nil {
		said, _ := os.ReadFile(filepath.Join(dir, "log")) // only for the message
		return nil, errors.Join(fmt.Errorf("the API did not come up: %w: %s", err, said), a.stop())
	}
	return a, nil
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func (a *api) waitUntilUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, apiStart)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.address+"/healthz", nil)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.process.Done():
			return fmt.Errorf("it ended: %w", a.process.Err())
		case <-ticker.C:
		}
	}
}

func (a *api) stop() error {
	for len(a.idle) > 0 {
		(<-a.idle).close()
	}
	return errors.Join(a.process.Stop(apiStart), os.RemoveAll(a.dir))
}

// connection is one keep-alive connection. It is plainer than net/http's client,
// which would take a good part of the CPUs that we measure.
type connection struct {
	conn   net.Conn
	reader *bufio.Reader
	text   bytes.Buffer
}

func (c *connection) close() { _ = c.conn.Close() }

func (a *api) connection(ctx context.Context) (*connection, error) {
	select {
	case c := <-a.idle:
		return c, nil
	default:
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.address)
	if err != nil {
		return nil, err
	}
	return &connection{conn: conn, reader: bufio.NewReader(conn)}, nil
}

// post sends one JSON body and wants 201.
func (a *api) post(ctx context.Context, path string, body any) error {
	c, err := a.connection(ctx)
	if err != nil {
		return err
	}
	if err := c.post(a.address, path, a.key, body); err != nil {
		c.close()
		return err
	}
	a.idle <- c
	return nil
}

func (c *connection) post(host, path, key string, body any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	c.text.Reset()
	fmt.Fprintf(&c.text, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, host, key, id.Number(), len(content))
	c.text.Write(content)
	if err := c.conn.SetDeadline(time.Now().Add(apiStart)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.text.Bytes()); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusCreated {
		err = fmt.Errorf("POST %s: %s: %s", path, answer.Status, said)
	}
	return err
}

type amountJSON struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

type transferJSON struct {
	Reference string     `json:"reference"`
	From      string     `json:"from_merchant_id"`
	To        string     `json:"to_merchant_id"`
	Amount    amountJSON `json:"amount"`
}

// transfers are POST /v1/transfers between two merchants that pick draws.
func (a *api) transfers(pick func(*rand.Rand) (from, to string)) operation {
	return func(ctx context.Context, random *rand.Rand) error {
		from, to := pick(random)
		return a.post(ctx, "/v1/transfers", transferJSON{
			Reference: id.Number(), From: from, To: to, Amount: amountJSON{transferMinor, "CNY"},
		})
	}
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/suanpan/suanpan/internal/freeport"
	pgserver "github.com/suanpan/suanpan/internal/postgres"
)

type options struct {
	seed     uint64
	duration time.Duration
	smoke    bool
	keep     bool
	faults   bool
	shoppers int
	data     string
	report   string
}

func main() {
	var o options
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "decides what goes wrong when")
	flag.DurationVar(&o.duration, "duration", 20*time.Minute, "how long the load and the faults last")
	flag.BoolVar(&o.smoke, "smoke", false, "a short run for continuous integration")
	flag.BoolVar(&o.keep, "keep", false, "keep logs and data of a run that passed")
	flag.BoolVar(&o.faults, "faults", true, "false: only the load, to judge the judge")
	flag.IntVar(&o.shoppers, "shoppers", 20, "clients at once")
	flag.StringVar(&o.data, "data", ".data/chaos", "folder of the stack, made anew")
	flag.StringVar(&o.report, "report", "", "file for the report as JSON")
	flag.Parse()
	if o.smoke {
		o.duration, o.shoppers = smokeDuration, 12
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	passed, err := carryOut(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}

// smokeDuration is the load of a short run; with the stack's start and the judge
// it stays below two minutes.
const smokeDuration = 40 * time.Second

// run is one run with everything in it.
type run struct {
	options
	began    time.Time
	platform *platform
	load     *load
	sinks    []*sink
	db       *reader
	hits     *hits
	channel  *channelFaults
	report   report
}

func (r *run) say(format string, args ...any) {
	fmt.Printf("%7.1fs  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

func carryOut(ctx context.Context, o options) (passed bool, err error) {
	unlock, err := lockFolder(o.data)
	if err != nil {
		return false, err
	}
	defer unlock()
	dir, err := freshFolder(o.data)
	if err != nil {
		return false, err
	}
	r := &run{options: o, began: time.Now(), hits: &hits{}}
	r.platform = &platform{stack: newStack(dir), net: newProxies()}
	r.say("seed %d, %s, data in %s", o.seed, o.duration, dir)
	defer func() {
		r.platform.down()
		r.platform.net.close()
		for _, s := range r.sinks {
			s.close()
		}
		if passed && err == nil && !o.keep {
			err = removeFolder(dir)
		}
	}()
	if err := r.platform.bringUp(ctx, r.say); err != nil {
		return false, err
	}
	if err := r.prepare(ctx); err != nil {
		return false, err
	}
	if err := r.trouble(ctx); err != nil {
		return false, err
	}
	r.report.Verdicts = r.judge(ctx)
	struck, missed := r.hits.all()
	r.report.summarize(r.plan(), struck, missed, r.platform.processes)
	r.report.print(os.Stdout)
	if o.report != "" {
		err = r.report.write(o.report)
	}
	return r.report.Passed, err
}

// lockFolder keeps a second run away from the folder; the kernel gives the lock
// back when this process ends, however it ends.
func lockFolder(data string) (unlock func(), err error) {
	dir := filepath.Clean(data)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("another run works in %s: choose a folder with -data", data)
	}
	return func() { _ = file.Close() }, nil
}

// freshFolder makes the folder anew; what another program keeps there is not touched.
func freshFolder(data string) (string, error) {
	dir, err := filepath.Abs(data)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		if err := removeFolder(dir); err != nil {
			return "", err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, marker), nil, 0o600)
}

// marker says that a folder is ours to remove.
const marker = "chaos-run"

func removeFolder(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, marker)); err != nil {
		return fmt.Errorf("%s is not the folder of a run and is not removed", dir)
	}
	data, err := pgserver.Locate(filepath.Join(dir, "postgres"))
	if err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(data), os.RemoveAll(dir))
}

// plan is what goes wrong in this run.
func (r *run) plan() plan {
	if !r.faults {
		return plan{Seed: r.seed, Load: r.duration}
	}
	return newPlan(r.seed, r.duration)
}

// prepare makes the clients, their shops, their books and their webhooks.
func (r *run) prepare(ctx context.Context) error {
	seeded := r.platform.seeded
	r.db = &reader{url: r.platform.directURL()}
	j, err := openJournal(r.platform.path("journal.jsonl"))
	if err != nil {
		return err
	}
	caller, err := newCaller(r.platform.apiURLs(), seeded.APIKey, j)
	if err != nil {
		return err
	}
	provider := newProvider(r.platform.sandboxURL())
	r.load = &load{caller: caller, provider: provider, seed: r.seed, run: strings.ToLower(rand.Text()[:8]),
		accounts: map[string]string{alipay: seeded.Alipay.ChannelAccountID, wechatpay: seeded.WeChatPay.ChannelAccountID}}
	r.load.days = &days{load: r.load, db: r.db}
	r.channel = &channelFaults{provider: provider, seed: r.seed, counted: map[string]int{}}
	r.platform.find("sandbox").back = r.channel.arm
	// Withdrawals are paid from what payers paid at Alipay; some come before it.
	err = provider.control(ctx, http.MethodPost, "topups", map[string]any{"provider": alipay, "merchant": seeded.Alipay.AppID,
		"number": "TOPUP1", "amount": 100_000_00}, nil)
	if err != nil {
		return err
	}
	if err := r.load.days.begin(ctx); err != nil {
		return err
	}
	for i := range 2 {
		if err := r.openSink(ctx, i); err != nil {
			return err
		}
	}
	r.report = report{Seed: r.seed, Began: r.began}
	if r.report.Settings, err = r.db.settings(ctx); err != nil {
		return err
	}
	if r.report.Settings["fsync"] != "on" {
		return errors.New("fsync is not on")
	}
	return r.load.openMall(ctx)
}

func (r *run) openSink(ctx context.Context, i int) error {
	port, err := freeport.Reserve()
	if err != nil {
		return err
	}
	s, err := openSink(port)
	if err != nil {
		return err
	}
	r.sinks = append(r.sinks, s)
	name := fmt.Sprintf("%s-%d", toSink, i+1)
	proxied, err := r.platform.net.open("workers", name, web, port)
	if err != nil {
		return err
	}
	return r.load.subscribe(ctx, s, name, proxied)
}

// trouble lets the load and the faults run, and then everything come to rest.
func (r *run) trouble(ctx context.Context) error {
	p := r.plan()
	r.say("%d faults planned: %s", p.total(), sorted(p.counts()))
	shopping, closeShops := context.WithCancel(ctx)
	defer closeShops()
	began := time.Now()
	r.load.start(shopping, r.shoppers)
	var nights sync.WaitGroup
	nights.Go(func() { r.load.days.keep(shopping, max(r.duration/5, 25*time.Second)) })
	go r.tell(shopping)
	field := &field{platform: r.platform, load: r.load, hits: r.hits, db: r.db, said: r.say}
	if r.faults {
		r.channel.on = true
		r.channel.arm(ctx)
		rest(ctx, 3*time.Second) // work must be in flight
		field.run(shopping, p)
	}
	rest(ctx, r.duration-time.Since(began))
	closeShops()
	r.say("the faults stop; the last shoppers leave")
	return r.comeToRest(ctx, began, &nights)
}

// comeToRest heals everything and waits until every object is final.
func (r *run) comeToRest(ctx context.Context, began time.Time, nights *sync.WaitGroup) error {
	r.report.Load = time.Since(began)
	quiet := time.Now()
	for _, w := range r.platform.net.ways {
		if err := w.heal(); err != nil {
			return err
		}
	}
	var err error
	if err = r.platform.awaitUp(ctx); err != nil {
		return err
	}
	if r.report.Channel, err = r.channel.end(ctx); err != nil {
		return err
	}
	r.load.evening.Store(true) // shoppers who wait leave
	r.load.wait()
	nights.Wait()
	// The night ends the time of every payment that nobody paid.
	if err := r.load.days.night(ctx); err != nil {
		return err
	}
	deadline := quiet.Add(quietPatience)
	for {
		open, err := r.db.unfinished(ctx)
		if err != nil {
			return err
		}
		if len(open) == 0 {
			break
		}
		if time.Now().After(deadline) {
			r.report.Problems = append(r.report.Problems,
				fmt.Sprintf("not final %s after the faults stopped: %s", quietPatience, sorted(open)))
			break
		}
		rest(ctx, time.Second)
	}
	r.report.Quiet = time.Since(quiet)
	l := r.load
	r.report.Counts = map[string]int64{"payments": l.payments.Load(), "refunds": l.refunds.Load(), "withdrawals": l.withdrawals.Load(),
		"transfers": l.transfers.Load(), "workflows": l.workflows(), "paid": l.paid.Load(), "declined": l.declined.Load(),
		"paid late": l.late.Load(), "nights": int64(l.days.nights)}
	r.say("everything is final %s after the faults stopped", r.report.Quiet.Round(time.Second))
	return nil
}

// tell prints a line of progress every few seconds and looks after the counts of
// a sandbox that may die.
func (r *run) tell(ctx context.Context) {
	for n := 0; rest(ctx, time.Second); n++ {
		r.channel.look(ctx)
		if n%10 != 9 {
			continue
		}
		struck, missed := r.hits.all()
		kills := 0
		for _, h := range struck {
			if strings.HasPrefix(h.Kind, "kill") {
				kills++
			}
		}
		var down []string
		for _, p := range r.platform.processes {
			if !p.isUp() {
				down = append(down, p.name)
			}
		}
		l := r.load
		r.say("%d workflows (%d payments, %d refunds, %d withdrawals) · %d kills and %d other hits, %d missed · %d calls, %d retries, "+
			"%d failed · down: %v", l.workflows(), l.payments.Load(), l.refunds.Load(), l.withdrawals.Load(), kills, len(struck)-kills,
			len(missed), l.calls.Load(), l.retries.Load(), len(l.failed.all()), down)
	}
}

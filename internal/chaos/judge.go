package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	temporal "go.temporal.io/sdk/client"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/temporaldev"
)

// quietPatience is how long everything may take to become final once the faults
// have stopped.
const quietPatience = 5 * time.Minute

// check is one thing that must be true in the end.
type check struct {
	name string
	// judge returns what was found in words, and every difference.
	judge func(context.Context, *run) (found string, differences []string, err error)
}

// checks lists them all. To add one is to add an entry.
func checks() []check {
	return []check{
		{"starter verify", judgeVerify},
		{"client calls", judgeCalls},
		{"journal × database × oracle", judgeMoney},
		{"keys", judgeKeys},
		{"bills", judgeBills},
		{"webhooks", judgeWebhooks},
		{"workflows", judgeWorkflows},
		{"trial balance", judgeTrialBalance},
		{"logs", judgeLogs},
	}
}

// verdict is what one check came to.
type verdict struct {
	Check       string   `json:"check"`
	Found       string   `json:"found"`
	Differences []string `json:"differences,omitempty"`
}

func (v verdict) right() bool { return len(v.Differences) == 0 }

// judge runs every check; an error of a check is a difference.
func (r *run) judge(ctx context.Context) []verdict {
	var all []verdict
	for _, c := range checks() {
		found, differences, err := c.judge(ctx, r)
		if err != nil {
			differences = append(differences, err.Error())
		}
		all = append(all, verdict{c.name, found, differences})
	}
	return all
}

func judgeVerify(ctx context.Context, r *run) (string, []string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(r.platform.bin, "starter"), "verify", "--deep")
	cmd.Env = config.Environ(config.Vault{Core: r.platform.core(r.platform.directURL(), r.platform.launch.Address()),
		Secrets: config.Secrets{MasterKeyFile: r.platform.masterKey()}})
	out, err := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil {
		return "", lines, fmt.Errorf("verify: %w", err)
	}
	return lines[len(lines)-1], nil, nil
}

// judgeCalls demands that every call of a client succeeded within its retries.
func judgeCalls(_ context.Context, r *run) (string, []string, error) {
	c := r.load.caller
	var spread []string
	for n := range c.byRetries {
		spread = append(spread, fmt.Sprintf("%d after %d", c.byRetries[n].Load(), n))
	}
	found := fmt.Sprintf("%d calls, %d retries (%s), %d connections refused and taken to the other instance, the longest call took %s; "+
		"refused: %v", c.calls.Load(), c.retries.Load(), strings.Join(spread, ", "), c.failovers.Load(),
		short(time.Duration(c.longest.Load())), r.load.refusals.all())
	return found, append(c.failed.all(), r.load.trouble.all()...), nil
}

// judgeMoney joins what clients asked for and were told, what the database has,
// and what the providers' own file says. Nothing may be in one and not in the
// others, twice, or with another amount.
func judgeMoney(ctx context.Context, r *run) (string, []string, error) {
	told, err := readJournal(r.load.journal.path)
	if err != nil {
		return "", nil, err
	}
	objects, err := r.db.objects(ctx)
	if err != nil {
		return "", nil, err
	}
	late, err := r.db.lateReceipts(ctx)
	if err != nil {
		return "", nil, err
	}
	truth, err := readOracle(r.platform.path("sandbox", "journal.jsonl"))
	if err != nil {
		return "", nil, err
	}
	differences := joinJournal(told, objects)
	differences = append(differences, joinOracle(objects, late, truth)...)
	differences = append(differences, joinPayers(told, truth)...)
	n := map[string]int{}
	for _, o := range objects {
		n[strings.TrimPrefix(o.kind, "create")+" "+o.status]++
	}
	return fmt.Sprintf("%s; %d paid late; %d movements at the providers", sorted(n), len(late), len(truth.movements)), differences, nil
}

// joinJournal compares what was asked for and answered with the database.
func joinJournal(told []record, objects []row) []string {
	asks, answers := map[string]record{}, map[string]record{}
	for _, t := range told {
		switch t.What {
		case "ask":
			asks[t.Key] = t
		case "answer":
			answers[t.Key] = t
		}
	}
	var differences []string
	differ := func(format string, args ...any) { differences = append(differences, fmt.Sprintf(format, args...)) }
	found := map[string]row{}
	for _, o := range objects {
		if o.ours {
			continue
		}
		ask, asked := asks[o.reference]
		switch {
		case !asked || ask.Operation != o.kind:
			differ("%s %s (%s) is in the database and nobody asked for it", o.kind, o.id, o.reference)
		case ask.Fen != o.fen:
			differ("%s %s was asked for with %d fen and has %d", o.kind, o.id, ask.Fen, o.fen)
		case found[o.reference].id != "":
			differ("%s %s and %s are one request", o.kind, o.id, found[o.reference].id)
		}
		found[o.reference] = o
	}
	for key, ask := range asks {
		if ask.Fen == 0 { // moves no money
			continue
		}
		answer, answered := answers[key]
		switch o, there := found[ask.Reference]; {
		case answered && answer.ID != "" && !there:
			differ("%s %s was answered with %s and is lost", ask.Operation, key, answer.ID)
		case answered && answer.ID != "" && answer.ID != o.id:
			differ("%s %s was answered with %s and is %s", ask.Operation, key, answer.ID, o.id)
		case answered && answer.Refused != "" && there:
			differ("%s %s was refused (%s) and exists as %s", ask.Operation, key, answer.Refused, o.id)
		case !answered && !there:
			differ("%s %s was never answered and does not exist", ask.Operation, key)
		}
	}
	return differences
}

// joinOracle compares the database with the providers' own file, number by number.
func joinOracle(objects []row, late []lateReceipt, truth *oracle) []string {
	expected := map[movementKey]moved{}
	expect := func(kind, number string, fen int64) {
		if fen != 0 {
			key := movementKey{kind, number}
			expected[key] = moved{expected[key].count + 1, expected[key].fen + fen}
		}
	}
	for _, o := range objects {
		if o.status != "succeeded" {
			continue
		}
		switch o.kind {
		case "createPayment":
			expect("payment", o.number, o.fen)
			expect("payment_fee", o.number, -o.fee)
		case "createRefund":
			expect("refund", o.number, -o.fen)
			expect("refund_fee", o.number, o.fee)
		case "createWithdrawal":
			expect("transfer", o.number, -o.fen)
		}
	}
	for _, l := range late {
		expect("payment", l.number, l.fen)
		expect("payment_fee", l.number, -l.fee)
	}
	var differences []string
	for key, e := range expected {
		if got := truth.movements[key]; got != e {
			differences = append(differences, fmt.Sprintf("%s %s: the books have %d of %d fen, the provider %d of %d fen",
				key.kind, key.number, e.count, e.fen, got.count, got.fen))
		}
	}
	for key, got := range truth.movements {
		if _, known := expected[key]; !known {
			differences = append(differences, fmt.Sprintf("%s %s: the provider moved %d fen in %d movements and the books have none",
				key.kind, key.number, got.fen, got.count))
		}
	}
	return differences
}

// joinPayers compares what payers saw on the page with the providers' file.
func joinPayers(told []record, truth *oracle) []string {
	var differences []string
	for _, t := range told {
		if t.What != "payer" || t.Act != "paid" {
			continue
		}
		if got := truth.movements[movementKey{"payment", t.Number}]; got != (moved{1, t.Fen}) {
			differences = append(differences, fmt.Sprintf("a payer paid %d fen for %s and the provider moved %d fen in %d movements",
				t.Fen, t.Number, got.fen, got.count))
		}
	}
	return differences
}

// judgeKeys compares the ids that clients were told with the idempotency rows.
func judgeKeys(ctx context.Context, r *run) (string, []string, error) {
	told, err := readJournal(r.load.journal.path)
	if err != nil {
		return "", nil, err
	}
	accepted, err := r.db.acceptedKeys(ctx)
	if err != nil {
		return "", nil, err
	}
	var differences []string
	asked, n := map[string]bool{}, 0
	for _, t := range told {
		switch {
		case t.What == "ask":
			asked[t.Key] = true
		case t.What == "answer" && t.Refused == "" && !strings.HasPrefix(t.Key, r.load.key("clock-")):
			n++
			if accepted[t.Key] != t.ID {
				differences = append(differences, fmt.Sprintf("%s was answered with %s and is kept with %q", t.Key, t.ID, accepted[t.Key]))
			}
		}
	}
	for key := range accepted {
		if !asked[key] {
			differences = append(differences, key+" was accepted and nobody used it")
		}
	}
	return fmt.Sprintf("%d answers, each kept with the same object", n), differences, nil
}

// judgeBills reconciles every day once more with the providers' honest bills.
func judgeBills(ctx context.Context, r *run) (string, []string, error) {
	var matched int64
	var differences []string
	days := r.load.days.past()
	for _, date := range days {
		for _, channel := range []string{alipay, wechatpay} {
			agree, open, err := r.load.days.reconciled(ctx, channel, date)
			if err != nil {
				return "", differences, fmt.Errorf("%s on %s: %w", channel, date, err)
			}
			matched += agree
			if open != 0 {
				differences = append(differences, fmt.Sprintf("%s on %s: %d differences without an explanation", channel, date, open))
			}
		}
	}
	return fmt.Sprintf("%d days of two providers, %d lines agree", len(days), matched), differences, nil
}

// judgeWebhooks compares what arrived at each sink with the events committed.
func judgeWebhooks(ctx context.Context, r *run) (string, []string, error) {
	deadline := time.Now().Add(quietPatience)
	for {
		open, err := r.db.undelivered(ctx)
		if err == nil && open == 0 {
			break
		}
		if time.Now().After(deadline) {
			return "", nil, fmt.Errorf("%d webhooks are not delivered after %s: %w", open, quietPatience, err)
		}
		rest(ctx, time.Second)
	}
	committed, err := r.db.events(ctx)
	if err != nil {
		return "", nil, err
	}
	var differences, found []string
	for i, s := range r.sinks {
		arrived, messages, forged := s.all()
		if forged > 0 {
			differences = append(differences, fmt.Sprintf("sink %d: %d webhooks do not verify", i+1, forged))
		}
		for _, e := range committed {
			got, there := arrived[e.id]
			switch {
			case !there:
				differences = append(differences, fmt.Sprintf("sink %d: %s %s of %s never came", i+1, e.kind, e.id, e.object))
			case got.kind != e.kind || got.object != e.object || got.differs:
				differences = append(differences, fmt.Sprintf("sink %d: %s came as another message", i+1, e.id))
			}
			delete(arrived, e.id)
		}
		for id := range arrived {
			differences = append(differences, fmt.Sprintf("sink %d: %s came and was never committed", i+1, id))
		}
		found = append(found, fmt.Sprintf("%d events in %d messages", len(committed), messages))
	}
	return strings.Join(found, "; "), differences, nil
}

// judgeWorkflows demands that no workflow is open once every object is final.
func judgeWorkflows(ctx context.Context, r *run) (string, []string, error) {
	c, err := temporal.DialContext(ctx, temporal.Options{HostPort: r.platform.launch.Address(), Namespace: namespace,
		Logger: temporaldev.Quiet()})
	if err != nil {
		return "", nil, err
	}
	defer c.Close()
	count := func(query string) (int64, error) {
		counted, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: namespace, Query: query})
		return counted.GetCount(), err
	}
	deadline := time.Now().Add(quietPatience)
	for {
		open, err := count("ExecutionStatus = 'Running' AND WorkflowType != 'temporal-sys-scheduler-workflow'")
		if err == nil && open == 0 {
			break
		}
		if time.Now().After(deadline) {
			return "", []string{fmt.Sprintf("%d are open %s after every object became final", open, quietPatience)}, err
		}
		rest(ctx, time.Second)
	}
	done, err := count("ExecutionStatus = 'Completed'")
	if err != nil {
		return "", nil, err
	}
	failed, err := count("ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut', 'Canceled')")
	var differences []string
	if failed > 0 {
		differences = append(differences, fmt.Sprintf("%d workflows failed", failed))
	}
	return fmt.Sprintf("%d completed, none open", done), differences, err
}

func judgeTrialBalance(ctx context.Context, r *run) (string, []string, error) {
	var lines int
	balanced := false
	err := r.load.get(ctx, "getTrialBalance", func(api *client.API) error {
		a, err := api.GetTrialBalanceWithResponse(ctx)
		if err == nil {
			balanced, lines = a.JSON200.Balanced, len(a.JSON200.Lines)
		}
		return err
	})
	if err != nil || balanced {
		return fmt.Sprintf("%d lines, balanced", lines), nil, err
	}
	return "", []string{"it does not balance"}, nil
}

// judgeLogs looks for what must never be in a log.
func judgeLogs(_ context.Context, r *run) (string, []string, error) {
	files, err := filepath.Glob(r.platform.path("log", "*.log"))
	if err != nil {
		return "", nil, err
	}
	var differences []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", nil, err
		}
		for _, bad := range []string{"panic: ", "nondeterministic", "TMPRL1100", "DATA RACE", "fatal error: "} {
			if at := bytes.Index(content, []byte(bad)); at >= 0 {
				differences = append(differences, fmt.Sprintf("%s: %.200s", filepath.Base(file), content[at:]))
			}
		}
	}
	return fmt.Sprintf("%d logs without a panic or a nondeterminism", len(files)), differences, nil
}

// sorted shows counts by name, in the order of the names.
func sorted(n map[string]int) string {
	var parts []string
	for name, count := range n {
		parts = append(parts, fmt.Sprintf("%s %d", name, count))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

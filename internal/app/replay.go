package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/workflows"
)

// ReplayOptions say which histories are replayed.
type ReplayOptions struct {
	// Query narrows the runs of the namespace, in Temporal's list filters; empty
	// means all that it retains. It does not apply to Dir.
	Query string
	// Dir, when set, replays the files of a folder instead of a namespace.
	Dir string
	// Save, when set, is a folder that receives every history that was read, one
	// file per run, decrypted, with the names of machines taken out.
	Save string
}

// ReplayReport is what came of replaying histories with this build's workflows.
type ReplayReport struct {
	Replayed int
	// Ends counts the replayed runs by workflow and end, such as "payment succeeded".
	Ends map[string]int
	// Failures names the runs that this build cannot go on with, and why.
	Failures []string
}

// Replay replays recorded or running histories as a worker of this build would
// that takes the workflows over. It changes nothing in the namespace. An error
// means that histories could not be read; one that does not replay is a failure
// in the report.
func Replay(ctx context.Context, cfg config.Vault, logger *slog.Logger, opts ReplayOptions) (ReplayReport, error) {
	report := ReplayReport{Ends: map[string]int{}}
	replayer, err := NewReplayer()
	if err != nil {
		return report, err
	}
	if opts.Save != "" {
		if err := os.MkdirAll(opts.Save, 0o755); err != nil {
			return report, err
		}
	}
	each := func(run HistoryRun, history *historypb.History) error {
		report.Replayed++
		report.Ends[run.Noun()+" "+run.End(history)]++
		err := replayer.Replay(history)
		if err != nil {
			report.Failures = append(report.Failures, fmt.Sprintf("%s (%s): %v", run.WorkflowID, run.RunID, err))
		}
		if opts.Save == "" {
			return nil
		}
		_, err = SaveHistory(filepath.Join(opts.Save, run.file(history)), history)
		return err
	}
	if opts.Dir != "" {
		return report, savedHistories(opts.Dir, each)
	}
	db, err := pg.Open(ctx, cfg.DatabaseURL, pg.Options{MaxConns: 2})
	if err != nil {
		return report, err
	}
	defer db.Close()
	box, err := OpenBox(cfg.Secrets)
	if err != nil {
		return report, err
	}
	codec := NewCodec(db, box)
	temporal, err := DialTemporal(cfg.Core, codec, logger)
	if err != nil {
		return report, err
	}
	defer temporal.Close()
	return report, Histories(ctx, temporal, codec, cfg.TemporalNamespace, opts.Query, each)
}

// Replayer goes through histories with every workflow of this build.
type Replayer struct{ worker worker.WorkflowReplayer }

// NewReplayer returns a Replayer for histories that are decrypted or were never
// encrypted.
func NewReplayer() (Replayer, error) {
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{})
	if err != nil {
		return Replayer{}, fmt.Errorf("replayer: %w", err)
	}
	workflows.Register(replayer)
	return Replayer{replayer}, nil
}

// Replay goes through a history as a worker of this build would that takes its workflow
// over. One that no worker has had yet is only begun, and has nothing that could differ.
func (r Replayer) Replay(history *historypb.History) error {
	const begun = 2 // started, and the first task scheduled
	if len(history.Events) <= begun {
		return nil
	}
	return r.worker.ReplayWorkflowHistory(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), history)
}

// savedHistories hands over the histories of a folder's JSON files.
func savedHistories(dir string, each func(HistoryRun, *historypb.History) error) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: no histories (*.json)", dir)
	}
	for _, file := range files {
		text, err := os.Open(file)
		if err != nil {
			return err
		}
		history, err := client.HistoryFromJSON(text, client.HistoryJSONOptions{})
		_ = text.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		started := history.Events[0].GetWorkflowExecutionStartedEventAttributes()
		run := HistoryRun{Type: started.GetWorkflowType().GetName(), WorkflowID: filepath.Base(file),
			RunID: started.GetOriginalExecutionRunId(), Status: lastStatus(history)}
		if err := each(run, history); err != nil {
			return err
		}
	}
	return nil
}

// SaveHistory writes a history as a file that replays, without the names of
// machines and processes. It reports false, and writes nothing, when the file is
// there already.
func SaveHistory(path string, history *historypb.History) (bool, error) {
	text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(history)
	if err != nil {
		return false, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = file.Write(append(anonymise(text), '\n'))
	return err == nil, errors.Join(err, file.Close())
}

// Table lists the counts of a report, one line per workflow and end.
func (r ReplayReport) Table() string {
	var lines []string
	for end, n := range r.Ends {
		lines = append(lines, fmt.Sprintf("  %-32s %6d\n", end, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

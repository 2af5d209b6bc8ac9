package e2e_test

import (
	"flag"
	"path/filepath"

	"github.com/stretchr/testify/require"
	historypb "go.temporal.io/api/history/v1"

	"github.com/suanpan/suanpan/internal/app"
)

// record keeps histories for the replay corpus: of every workflow, every end and
// every order of its steps that these tests bring about, the first is written.
//
//	make histories    # adds to what is there: an older build's histories stay
var record = flag.Bool("record", false, "write the histories of this run into workflows/testdata/histories")

const corpus = "../../workflows/testdata/histories"

// replayAll replays the history of every workflow that ran, as a worker would
// that takes it over.
func (w *world) replayAll() {
	w.Helper()
	replayer, err := app.NewReplayer()
	require.NoError(w, err)
	require.NoError(w, app.Histories(w.ctx, w.temporal, w.codec, w.core.TemporalNamespace, "", func(run app.HistoryRun, h *historypb.History) error {
		require.NoError(w, replayer.Replay(h), "%s, which is %s", run.WorkflowID, run.Status)
		if *record && run.Status != "Running" && run.Status != "ContinuedAsNew" {
			_, err := app.SaveHistory(filepath.Join(corpus, run.CorpusName(h)), h)
			return err
		}
		return nil
	}))
}

//go:build chaos

package crashmatrix_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/crashmatrix"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/internal/temporaltest"
)

var (
	cellFlag  = flag.String("cell", "", "run this one cell, or every cell whose name begins so")
	shareFlag = flag.String("share", "1/1", "run the cells of this share, such as 1/8")
	listFlag  = flag.Bool("list", false, "list the cells of the share instead of running them")
	seedFlag  = flag.Uint64("seed", uint64(time.Now().Unix()/86400), "decides which share it is; the next seed is the next share")
)

// programs are the binaries under test, built with the tag chaos.
var programs struct{ worker, starter string }

func TestMain(m *testing.M) {
	flag.Parse()
	pgtest.Main(temporaltest.With(building{m}))
}

// building builds the programs before the tests run.
type building struct{ next *testing.M }

func (b building) Run() int {
	dir, err := os.MkdirTemp("", "suanpan-matrix-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		var out []byte
		out, err = exec.Command("go", "build", "-tags", "chaos", "-o", dir+"/", "../../worker", "../../starter").CombinedOutput()
		_, _ = os.Stderr.Write(out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crashmatrix:", err)
		return 1
	}
	programs.worker, programs.starter = filepath.Join(dir, "worker"), filepath.Join(dir, "starter")
	return b.next.Run()
}

// TestCrashMatrix records what every scenario visits, makes the cells of that, and
// runs those of the share.
func TestCrashMatrix(t *testing.T) {
	began := time.Now()
	n, err := crashmatrix.ParseShare(*shareFlag)
	require.NoError(t, err)
	missing := crashmatrix.Unanswered(crashmatrix.Registered(), crashmatrix.Scenarios())
	require.Empty(t, missing, "registered, and no scenario answers for it")
	spaces := &namespaces{T: t}
	cells := recordCells(t, spaces)
	all := len(cells)
	if *cellFlag != "" {
		cells = slices.DeleteFunc(cells, func(cell string) bool { return !strings.HasPrefix(cell, *cellFlag) })
	}
	cells = crashmatrix.Share(cells, n, *seedFlag)
	if *listFlag {
		fmt.Println(strings.Join(cells, "\n"))
		return
	}
	fmt.Printf("%d cells; running %d (share %s, seed %d) after %s\n", all, len(cells), *shareFlag, *seedFlag, time.Since(began).Round(time.Second))
	require.NotEmpty(t, cells)
	// Mixed, so that cells that wait and cells that compute run side by side.
	rand.New(rand.NewPCG(*seedFlag, 0)).Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
	table := &results{}
	defer func() { table.print(cells, time.Since(began)) }()
	t.Run("cell", func(t *testing.T) {
		for _, cell := range cells {
			t.Run(cell, func(t *testing.T) {
				t.Parallel()
				runCell(t, spaces, cell, table)
			})
		}
	})
}

// recordCells runs the scenarios undisturbed and returns the name of every visit
// in the steps that they answer for.
func recordCells(t *testing.T, spaces *namespaces) []string {
	t.Helper()
	var mu sync.Mutex
	var cells []string
	t.Run("record", func(t *testing.T) {
		for _, s := range crashmatrix.Scenarios() {
			if !strings.HasPrefix(s.Name, strings.Split(*cellFlag, "/")[0]) {
				continue
			}
			t.Run(s.Name, func(t *testing.T) {
				t.Parallel()
				visits := record(t, spaces, s.Name)
				for _, step := range s.Steps {
					mine := slices.DeleteFunc(slices.Clone(visits), func(visit string) bool { return stepOf(visit) != step })
					require.NotEmpty(t, mine, "%s answers for %s and does not visit it", s.Name, step)
					mu.Lock()
					for _, visit := range mine {
						cells = append(cells, s.Name+"/"+visit)
					}
					mu.Unlock()
				}
			})
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	slices.Sort(cells)
	return cells
}

func stepOf(visit string) string { return visit[:strings.LastIndexByte(visit, '/')] }

func placeOf(visit string) string {
	place, _, _ := strings.Cut(visit[strings.LastIndexByte(visit, '/')+1:], "#")
	return place
}

// record returns the visits of a scenario, each once.
func record(t *testing.T, spaces *namespaces, scenario string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "visits")
	w := newWorld(t, spaces, wish{scenario: scenario, record: file})
	courses()[scenario](w)
	w.judge()
	w.stop()
	require.Zero(t, w.kills())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	visits := strings.Split(strings.TrimSpace(string(text)), "\n")
	slices.Sort(visits)
	return slices.Compact(visits)
}

// tries is how often a cell waits for its visit: some visits depend on time, such
// as the command of a poll that came before the payer.
const tries = 3

// runCell runs a scenario with processes of which one dies at the cell's visit.
func runCell(t *testing.T, spaces *namespaces, cell string, table *results) {
	began := time.Now()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again: make crash-matrix CRASH_FLAGS='-cell \"%s\"'", cell)
		}
	})
	scenario, visit, _ := strings.Cut(cell, "/")
	for range tries {
		w := newWorld(t, spaces, wish{scenario: scenario, kill: visit})
		courses()[scenario](w)
		w.judge()
		w.stop()
		if !w.killed() {
			continue
		}
		require.Equal(t, 1, w.kills())
		table.add(visit, time.Since(began))
		t.Logf("killed once, and ended right after %s", time.Since(began).Round(100*time.Millisecond))
		return
	}
	require.Fail(t, "nothing was killed", "the scenario ended %d times without a visit of %s", tries, visit)
}

// results counts the cells that ended right, by step and place.
type results struct {
	mu      sync.Mutex
	right   map[string]map[string]int
	hits    int
	longest time.Duration
}

func (r *results) add(visit string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.right == nil {
		r.right = map[string]map[string]int{}
	}
	step := stepOf(visit)
	if r.right[step] == nil {
		r.right[step] = map[string]int{}
	}
	r.right[step][placeOf(visit)]++
	r.hits++
	r.longest = max(r.longest, took)
}

// print shows, per step, how many cells ended right of how many there were.
func (r *results) print(cells []string, took time.Duration) {
	places := []string{"begin", "commit.before", "commit.after", "call.before", "call.after", "start.before", "start.after",
		"command", "update", "end"}
	total := map[string]map[string]int{}
	for _, cell := range cells {
		_, visit, _ := strings.Cut(cell, "/")
		if total[stepOf(visit)] == nil {
			total[stepOf(visit)] = map[string]int{}
		}
		total[stepOf(visit)][placeOf(visit)]++
	}
	steps := make([]string, 0, len(total))
	for step := range total {
		steps = append(steps, step)
	}
	slices.Sort(steps)
	fmt.Printf("\n%-30s", "right/cells")
	for _, place := range places {
		fmt.Printf(" %13s", place)
	}
	fmt.Println()
	for _, step := range steps {
		fmt.Printf("%-30s", step)
		for _, place := range places {
			text := "·"
			if n := total[step][place]; n > 0 {
				text = fmt.Sprintf("%d/%d", r.right[step][place], n)
			}
			fmt.Printf(" %13s", text)
		}
		fmt.Println()
	}
	fmt.Printf("\n%d cells, %d killed and ended right, seed %d, share %s, %s (longest cell %s)\n", len(cells), r.hits, *seedFlag, *shareFlag,
		took.Round(time.Second), r.longest.Round(time.Second))
}

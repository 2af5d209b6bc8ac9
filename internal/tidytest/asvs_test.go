package tidytest_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/tidytest"
)

var update = flag.Bool("update", false, "write the count of docs/asvs.md into docs/security.md")

const (
	root         = "../.."
	asvsPage     = "../../docs/asvs.md"
	securityPage = "../../docs/security.md"
	countBegin   = "<!-- asvs: written by go test ./internal/tidytest -run ASVS -update -->\n"
	countEnd     = "<!-- end of asvs -->"
)

// verdicts are what a line may be said to be, in the order of the count's columns.
func verdicts() []string { return []string{"held", "partly", "does not apply", "missing"} }

// requirement is a line of the standard and its level.
type requirement struct{ id, level string }

func requirements(t *testing.T) []requirement {
	t.Helper()
	content, err := os.ReadFile("testdata/asvs-5.0.0.txt")
	require.NoError(t, err)
	var all []requirement
	for line := range strings.Lines(string(content)) {
		if id, level, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
			all = append(all, requirement{id, level})
		}
	}
	require.Len(t, all, 253)
	return all
}

// judged is a row of docs/asvs.md.
type judged struct {
	requirement
	chapter, asks, verdict, evidence string
}

var (
	chapterLine = regexp.MustCompile(`^## (V(\d+) .*)$`)
	rowLine     = regexp.MustCompile(`^\| *\d+\.\d+\.\d+ *\|`)
)

// readRows reads the rows of the page and says what is malformed.
func readRows(page string) (rows []judged, faults []string) {
	chapter, number := "", ""
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if heading := chapterLine.FindStringSubmatch(line); heading != nil {
			chapter, number = heading[1], heading[2]
		}
		if !rowLine.MatchString(line) {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 5 {
			faults = append(faults, "not five cells: "+line)
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		row := judged{requirement{cells[0], cells[1]}, chapter, cells[2], cells[3], cells[4]}
		rows = append(rows, row)
		if !strings.HasPrefix(row.id, number+".") {
			faults = append(faults, row.id+" stands in chapter "+chapter)
		}
	}
	return rows, faults
}

// faultsOf says what is wrong with the page: lines of the standard that are not there
// exactly once and in order, claims without evidence, evidence that does not exist.
func faultsOf(m *tidytest.Module, page string, want []requirement) []string {
	rows, faults := readRows(page)
	var got []requirement
	for _, row := range rows {
		got = append(got, row.requirement)
		named := tidytest.EvidenceIn("docs", row.evidence)
		for _, missing := range named.Missing(m, root) {
			faults = append(faults, row.id+": "+missing)
		}
		switch {
		case !slices.Contains(verdicts(), row.verdict):
			faults = append(faults, fmt.Sprintf("%s: %q is no verdict", row.id, row.verdict))
		case row.asks == "" || row.evidence == "":
			faults = append(faults, row.id+": a cell is empty")
		case (row.verdict == "held" || row.verdict == "partly") && len(named.Tests)+len(named.Files) == 0:
			faults = append(faults, row.id+": is said to hold, and names neither a test nor a file")
		}
		for _, test := range named.Tests {
			if !strings.Contains(test, ".") {
				faults = append(faults, row.id+": the folder of "+test+" is not named")
			}
		}
	}
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			faults = append(faults, want[i].id+" is not there")
		case i >= len(want):
			faults = append(faults, got[i].id+" is one too many")
		case want[i] != got[i]:
			return append(faults, fmt.Sprintf("%v stands where %v should", got[i], want[i]))
		}
	}
	return faults
}

func module(t *testing.T) *tidytest.Module {
	t.Helper()
	m, err := tidytest.Load(root)
	require.NoError(t, err)
	return m
}

func read(t *testing.T, page string) string {
	t.Helper()
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	return string(content)
}

// docs/asvs.md judges every line of levels 1 and 2, and what it names exists.
func TestASVSIsJudgedLineByLine(t *testing.T) {
	t.Parallel()
	require.Empty(t, faultsOf(module(t), read(t, asvsPage), requirements(t)))
}

// The guard of the test above: a page that is wrong in one way is found.
func TestASVSFaultsAreFound(t *testing.T) {
	t.Parallel()
	m, page, want := module(t), read(t, asvsPage), requirements(t)
	row := func(id string) string {
		return regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(id) + ` \|.*\n`).FindString(page)
	}
	first, second, last := row("1.1.1"), row("1.1.2"), row("17.3.2")
	require.NotEmpty(t, first)
	for name, c := range map[string]struct{ old, replacement, fault string }{
		"a line left out":      {second, "", "should"},
		"the last left out":    {last, "", "17.3.2 is not there"},
		"a line twice":         {first, first + first, "should"},
		"one too many":         {last, last + "| 17.3.3 | 2 | a | held | `Makefile` |\n", "17.3.3 is one too many"},
		"another level":        {first, strings.Replace(first, "| 2 |", "| 1 |", 1), "should"},
		"another chapter":      {"## V1 ", "## V2 ", "stands in chapter"},
		"no such verdict":      {first, strings.Replace(first, "| held |", "| fine |", 1), "is no verdict"},
		"no such test":         {first, strings.Replace(first, "`api.FuzzStrictJSON`", "`api.FuzzNothing`", 1), "there is no test api.FuzzNothing"},
		"of another folder":    {first, strings.Replace(first, "`api.FuzzStrictJSON`", "`ledger.FuzzStrictJSON`", 1), "there is no test ledger"},
		"of no folder":         {first, strings.Replace(first, "`api.FuzzStrictJSON`", "`FuzzStrictJSON`", 1), "the folder of"},
		"no such file":         {first, strings.Replace(first, "`api.FuzzStrictJSON`", "`api/nothing.go`", 1), "there is no file api/nothing.go"},
		"a link to nothing":    {first, strings.Replace(first, "`api.FuzzStrictJSON`", "[x](nothing.md#y)", 1), "there is no file docs/nothing.md"},
		"held by words":        {first, "| 1.1.1 | 2 | a | held | it is so |\n", "names neither"},
		"a cell with a bar":    {first, "| 1.1.1 | 2 | a | held | `Makefile` | b |\n", "not five cells"},
		"nothing said of it":   {first, "| 1.1.1 | 2 | | held | `Makefile` |\n", "a cell is empty"},
		"partly held by words": {first, "| 1.1.1 | 2 | a | partly | it is so |\n", "names neither"},
	} {
		require.Contains(t, page, c.old, name)
		spoilt := strings.Replace(page, c.old, c.replacement, 1)
		require.NotEqual(t, page, spoilt, name)
		require.Contains(t, strings.Join(faultsOf(m, spoilt, want), "\n"), c.fault, name)
	}
}

// docs/security.md counts what docs/asvs.md says.
func TestASVSCountIsCurrent(t *testing.T) {
	t.Parallel()
	rows, _ := readRows(read(t, asvsPage))
	stored := read(t, securityPage)
	before, rest, found := strings.Cut(stored, countBegin)
	require.True(t, found, "docs/security.md has no place for the count")
	_, after, found := strings.Cut(rest, countEnd)
	require.True(t, found)
	text := before + countBegin + count(rows) + countEnd + after
	if *update {
		require.NoError(t, os.WriteFile(securityPage, []byte(text), 0o600))
		return
	}
	require.Equal(t, text, stored, "write it again: go test ./internal/tidytest -run ASVS -update")
}

// count is the table of verdicts by chapter.
func count(rows []judged) string {
	var b strings.Builder
	b.WriteString("| chapter | lines | " + strings.Join(verdicts(), " | ") + " |\n|---|" + strings.Repeat("--:|", len(verdicts())+1) + "\n")
	line := func(title string, of []judged) {
		fmt.Fprintf(&b, "| %s | %d |", title, len(of))
		for _, verdict := range verdicts() {
			n := 0
			for _, row := range of {
				if row.verdict == verdict {
					n++
				}
			}
			fmt.Fprintf(&b, " %d |", n)
		}
		b.WriteString("\n")
	}
	for at := 0; at < len(rows); {
		end := at + 1
		for end < len(rows) && rows[end].chapter == rows[at].chapter {
			end++
		}
		line(rows[at].chapter, rows[at:end])
		at = end
	}
	line("all", rows)
	return b.String()
}

// Every test that a document names exists, in the folder that it names if it names one.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	t.Parallel()
	m := module(t)
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	for _, more := range []string{"../../*.md", "../../docs/*/*.md"} {
		others, err := filepath.Glob(more)
		require.NoError(t, err)
		pages = append(pages, others...)
	}
	named := 0
	for _, page := range pages {
		tests := tidytest.Evidence{Tests: tidytest.EvidenceIn("", read(t, page)).Tests}
		named += len(tests.Tests)
		require.Empty(t, tests.Missing(m, root), page)
	}
	require.Greater(t, named, 100)
}

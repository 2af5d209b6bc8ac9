package tidytest

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Evidence is what a text gives as proof: tests, and files of the repository.
type Evidence struct {
	// Tests are as named, `folder.TestName` or `TestName`.
	Tests []string
	// Files are relative to the root of the repository.
	Files []string
}

var (
	codeSpan  = regexp.MustCompile("`([^`]+)`")
	testName  = regexp.MustCompile(`^([a-z0-9/]+\.)?(Test|Fuzz)[A-Z]\w*$`)
	fileName  = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+\.[a-z]+$|^(Makefile|\.dockerignore|go\.mod|go\.sum)$`)
	linkOf    = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
	isForeign = regexp.MustCompile(`^[a-z]+:`)
)

// EvidenceIn reads the evidence of a Markdown text that lies in folder of the repository.
func EvidenceIn(folder, text string) Evidence {
	var found Evidence
	for _, span := range codeSpan.FindAllStringSubmatch(text, -1) {
		switch name := span[1]; {
		case testName.MatchString(name):
			found.Tests = append(found.Tests, name)
		case fileName.MatchString(name):
			found.Files = append(found.Files, name)
		}
	}
	for _, link := range linkOf.FindAllStringSubmatch(text, -1) {
		if !isForeign.MatchString(link[1]) {
			found.Files = append(found.Files, path.Join(folder, link[1]))
		}
	}
	return found
}

// Missing lists what of the evidence is not in the repository at root: a test that is
// in no test file of its folder, or of the module if it has none, and a file.
func (e Evidence) Missing(m *Module, root string) []string {
	var missing []string
	for _, test := range e.Tests {
		folder, name, placed := strings.Cut(test, ".")
		if !placed {
			folder, name = "", test
		}
		if !m.hasTest(folder, name) {
			missing = append(missing, fmt.Sprintf("there is no test %s", test))
		}
	}
	for _, file := range e.Files {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(file))); err != nil {
			missing = append(missing, fmt.Sprintf("there is no file %s", file))
		}
	}
	return missing
}

// hasTest finds a test function in a folder, or anywhere when the folder is "".
func (m *Module) hasTest(folder, name string) bool {
	for _, p := range m.Packages {
		if folder != "" && p.Dir != folder {
			continue
		}
		for _, f := range p.Files {
			if f.Test && declares(f, name) {
				return true
			}
		}
	}
	return false
}

// declares reports whether a file has a function of that name.
func declares(f *File, name string) bool {
	for _, line := range f.Lines {
		if strings.HasPrefix(line, "func "+name+"(") {
			return true
		}
	}
	return false
}

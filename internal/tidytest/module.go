package tidytest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// Module is the parsed source of the platform.
type Module struct {
	Path     string // import path, such as github.com/suanpan/suanpan
	Packages []*Package
	fset     *token.FileSet
}

// Package is one folder of Go files.
type Package struct {
	Dir   string // relative to the module, with slashes
	Files []*File
}

// File is one Go file.
type File struct {
	Name      string // relative to the module
	Test      bool
	Generated bool
	Syntax    *ast.File
	Lines     []string
}

// Violation is one broken rule.
type Violation struct {
	Rule  string
	Where string // file:line, or a folder
	What  string // what is wrong and what to do instead
}

func (v Violation) String() string { return fmt.Sprintf("%s: %s [%s]", v.Where, v.What, v.Rule) }

// Load parses every Go file below root, but those of other modules (tools/),
// of test data and of hidden folders.
func Load(root string) (*Module, error) {
	path, err := modulePath(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	m := &Module{Path: path, fset: token.NewFileSet()}
	byDir := map[string]*Package{}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || isModule(path)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return m.add(byDir, path, filepath.ToSlash(relative))
	})
	for _, p := range byDir {
		m.Packages = append(m.Packages, p)
	}
	sort.Slice(m.Packages, func(i, j int) bool { return m.Packages[i].Dir < m.Packages[j].Dir })
	return m, err
}

func (m *Module) add(byDir map[string]*Package, path, relative string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	syntax, err := parser.ParseFile(m.fset, relative, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := filepath.ToSlash(filepath.Dir(relative))
	if byDir[dir] == nil {
		byDir[dir] = &Package{Dir: dir}
	}
	byDir[dir].Files = append(byDir[dir].Files, &File{
		Name: relative, Test: strings.HasSuffix(relative, "_test.go"), Generated: ast.IsGenerated(syntax),
		Syntax: syntax, Lines: strings.Split(string(content), "\n"),
	})
	return nil
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func modulePath(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(string(content), "\n")
	path, ok := strings.CutPrefix(first, "module ")
	if !ok {
		return "", fmt.Errorf("%s does not begin with its module path", file)
	}
	return strings.TrimSpace(path), nil
}

// at is the file and line of a node.
func (m *Module) at(n ast.Node) string {
	position := m.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", position.Filename, position.Line)
}

func (m *Module) lines(n ast.Node) int {
	return m.fset.Position(n.End()).Line - m.fset.Position(n.Pos()).Line + 1
}

// importsOf lists what a file imports.
func importsOf(f *File) map[string]ast.Node {
	found := map[string]ast.Node{}
	for _, spec := range f.Syntax.Imports {
		if path, err := strconv.Unquote(spec.Path.Value); err == nil {
			found[path] = spec
		}
	}
	return found
}

// ours strips the module's path; ok is false for an import of somebody else's.
func (m *Module) ours(path string) (dir string, ok bool) {
	return strings.CutPrefix(path, m.Path+"/")
}

// production visits the files that end up in a program.
func (m *Module) production(visit func(p *Package, f *File)) {
	for _, p := range m.Packages {
		for _, f := range p.Files {
			if !f.Test {
				visit(p, f)
			}
		}
	}
}

// under reports whether dir is one of the folders or below one.
func under(dir string, folders ...string) bool {
	for _, folder := range folders {
		if dir == folder || strings.HasPrefix(dir, folder+"/") {
			return true
		}
	}
	return false
}

package tidytest

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Sizes a reader can hold.
const (
	longestLine     = 140 // letters of production code; a tab counts as one
	longestTestLine = 200 // a row of a table may be wide
	longestFunction = 80  // lines
	longestFile     = 500 // lines
)

// PackageNames bans names that say nothing about what is inside.
func PackageNames(m *Module) []Violation {
	var found []Violation
	for _, p := range m.Packages {
		switch name := path.Base(p.Dir); name {
		case "util", "utils", "common", "helper", "helpers", "misc", "shared", "base":
			found = append(found, Violation{"package names", p.Dir, name + " says nothing: name the package for what it owns"})
		}
	}
	return found
}

// PackageComments wants one comment per package that says what it owns.
func PackageComments(m *Module) []Violation {
	var found []Violation
	for _, p := range m.Packages {
		if !hasComment(p) {
			found = append(found, Violation{"package comments", p.Dir, "no package comment: say what it owns and may not do"})
		}
	}
	return found
}

func hasComment(p *Package) bool {
	onlyTests := true
	for _, f := range p.Files {
		onlyTests = onlyTests && f.Test
		if f.Syntax.Doc != nil || f.Generated {
			return true
		}
	}
	return onlyTests
}

// DocComments wants a comment on every exported name outside programs.
func DocComments(m *Module) []Violation {
	var found []Violation
	m.production(func(_ *Package, f *File) {
		if f.Generated || f.Syntax.Name.Name == "main" {
			return
		}
		for _, declaration := range f.Syntax.Decls {
			for _, name := range undocumented(declaration) {
				found = append(found, Violation{"doc comments", m.at(name), name.Name + " is exported without a comment"})
			}
		}
	})
	return found
}

func undocumented(declaration ast.Decl) []*ast.Ident {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) && !wellKnownMethod(d) {
			return []*ast.Ident{d.Name}
		}
	case *ast.GenDecl:
		if d.Doc != nil {
			return nil
		}
		var missing []*ast.Ident
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && s.Doc == nil && s.Comment == nil {
					missing = append(missing, s.Name)
				}
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() && s.Doc == nil && s.Comment == nil && !isEnumerated(d, s) {
						missing = append(missing, name)
					}
				}
			}
		}
		return missing
	}
	return nil
}

// isEnumerated tells a value of a list whose type is documented and says what
// the values are.
func isEnumerated(group *ast.GenDecl, spec *ast.ValueSpec) bool {
	return group.Lparen.IsValid() && spec.Type != nil
}

// wellKnownMethod tells methods whose meaning an interface of the standard
// library fixes.
func wellKnownMethod(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return false
	}
	switch d.Name.Name {
	case "Error", "String", "Unwrap", "Is", "As", "ServeHTTP", "MarshalJSON", "UnmarshalJSON", "MarshalText",
		"UnmarshalText", "IsPositive", "IsNegative", "IsZero", "Write", "Read", "Close", "RoundTrip":
		return true
	}
	return false
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	at := d.Recv.List[0].Type
	for {
		switch t := at.(type) {
		case *ast.StarExpr:
			at = t.X
		case *ast.IndexExpr:
			at = t.X
		case *ast.Ident:
			return t.IsExported()
		default:
			return true
		}
	}
}

// Sizes bounds lines, functions and files of hand-written code.
func Sizes(m *Module) []Violation {
	var found []Violation
	tagged := regexp.MustCompile("`\\w+:\"") // a struct tag cannot be broken
	for _, p := range m.Packages {
		for _, f := range p.Files {
			if f.Generated {
				continue
			}
			limit := longestLine
			if f.Test {
				limit = longestTestLine
			}
			for i, line := range f.Lines {
				if n := utf8.RuneCountInString(line); n > limit && !tagged.MatchString(line) && !isLink(line) && !isSignature(line) {
					found = append(found, Violation{"sizes", fmt.Sprintf("%s:%d", f.Name, i+1),
						fmt.Sprintf("the line has %d letters, more than %d", n, limit)})
				}
			}
			if n := len(f.Lines); n > longestFile && !f.Test {
				found = append(found, Violation{"sizes", f.Name,
					fmt.Sprintf("the file has %d lines, more than %d: it owns more than one thing", n, longestFile)})
			}
			found = append(found, longFunctions(m, f)...)
		}
	}
	return found
}

// isSignature tells the first line of a method, whose names a contract may fix.
func isSignature(line string) bool { return strings.HasPrefix(line, "func (") }

func isLink(line string) bool {
	return strings.Contains(line, "https://") && !strings.Contains(strings.TrimLeft(line, "\t/ "), " ")
}

// isTable tells a function that only returns a value written out.
func isTable(function *ast.FuncDecl) bool {
	if function.Body == nil || len(function.Body.List) != 1 {
		return false
	}
	_, ok := function.Body.List[0].(*ast.ReturnStmt)
	return ok
}

func longFunctions(m *Module, f *File) []Violation {
	var found []Violation
	for _, declaration := range f.Syntax.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if ok && !f.Test && !isTable(function) && m.lines(function) > longestFunction {
			found = append(found, Violation{"sizes", m.at(function),
				fmt.Sprintf("%s has %d lines, more than %d", function.Name.Name, m.lines(function), longestFunction)})
		}
	}
	return found
}

// HonestTests bans skipped tests and sleeps.
func HonestTests(m *Module) []Violation {
	var found []Violation
	for _, p := range m.Packages {
		for _, f := range p.Files {
			if !f.Test && !under(p.Dir, "internal/pgtest", "internal/temporaltest", "channels/channeltest") {
				continue
			}
			for _, receiver := range []string{"t", "b", "tb"} {
				for _, name := range []string{"Skip", "Skipf", "SkipNow"} {
					for _, node := range calls(f.Syntax, receiver, name) {
						found = append(found, Violation{"honest tests", m.at(node), "no skipped tests: make it run or remove it"})
					}
				}
			}
			for _, node := range calls(f.Syntax, "time", "Sleep") {
				found = append(found, Violation{"honest tests", m.at(node),
					"no sleeps: wait for a channel or use require.Eventually"})
			}
		}
	}
	return found
}

// Unfinished bans notes that something is to be done: it is done or an issue.
func Unfinished(m *Module) []Violation {
	var found []Violation
	mark := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)
	for _, p := range m.Packages {
		for _, f := range p.Files {
			if f.Generated {
				continue
			}
			for _, group := range f.Syntax.Comments {
				for _, comment := range group.List {
					if mark.MatchString(comment.Text) {
						found = append(found, Violation{"unfinished", m.at(comment), "finish it or open an issue"})
					}
				}
			}
		}
	}
	return found
}

// Rule is one house rule.
type Rule struct {
	Name  string
	Check func(*Module) []Violation
}

// Rules lists all house rules.
func Rules() []Rule {
	return []Rule{
		{"import directions", ImportDirections},
		{"foreign packages", ForeignPackages},
		{"sql at home", SQLAtHome},
		{"environment at home", EnvironmentAtHome},
		{"no floats", NoFloats},
		{"tls is verified", TLSIsVerified},
		{"no init", NoInit},
		{"no package state", NoPackageState},
		{"package names", PackageNames},
		{"package comments", PackageComments},
		{"doc comments", DocComments},
		{"sizes", Sizes},
		{"honest tests", HonestTests},
		{"unfinished", Unfinished},
	}
}

package tidytest

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

// SQL statements begin like this; prose that begins with such a word does not
// go on like that.
const sqlStart = `(?is)^\s*(select\s.*\bfrom\b|select\s+\w+\(|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|` +
	`with\s+(recursive\s+)?\w+\s+as\s*(materialized\s*)?\(|(create|alter|drop)\s+(table|role|index|database|schema|view)\s|` +
	`set\s+(local\s+)?role\s|truncate\s)`

// SQLAtHome keeps SQL in the books, the concepts, and what runs the database.
func SQLAtHome(m *Module) []Violation {
	pattern := regexp.MustCompile(sqlStart)
	var found []Violation
	m.production(func(p *Package, f *File) {
		if under(p.Dir, "ledger", "core", "migrations", "internal/pg", "internal/pgtest", "internal/postgres",
			"internal/composecheck", "internal/bench", "internal/seededbugs", "internal/chaos") {
			return
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if ok && literal.Kind == token.STRING && pattern.MatchString(strings.Trim(literal.Value, "`\"")) {
				found = append(found, Violation{"sql", m.at(literal),
					"SQL is only for ledger and core: give the package that owns these rows a function"})
			}
			return true
		})
	})
	return found
}

// EnvironmentAtHome keeps the environment in the two mains and what serves tests.
func EnvironmentAtHome(m *Module) []Violation {
	var found []Violation
	m.production(func(p *Package, f *File) {
		if under(p.Dir, "worker", "starter", "internal/pgtest", "internal/temporaltest", "internal/testenv") {
			return
		}
		for _, name := range []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv"} {
			for _, node := range calls(f.Syntax, "os", name) {
				found = append(found, Violation{"environment", m.at(node),
					"os." + name + " is only for the mains: take a configuration struct of internal/config"})
			}
		}
	})
	return found
}

// NoFloats keeps floating point away from money.
func NoFloats(m *Module) []Violation {
	var found []Violation
	m.production(func(p *Package, f *File) {
		if f.Generated || !under(p.Dir, "money", "ledger", "core", "channels", "activities", "workflows") {
			return
		}
		complain := func(n ast.Node, what string) {
			found = append(found, Violation{"floats", m.at(n),
				what + " in a money path: use money.Amount, basis points, or decimal at the provider's edge"})
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				if n.Name == "float64" || n.Name == "float32" {
					complain(n, n.Name)
				}
			case *ast.BasicLit:
				if n.Kind == token.FLOAT && !isRetryBackoff(f, m.fset.Position(n.Pos()).Line) {
					complain(n, "the floating-point literal "+n.Value)
				}
			case *ast.SelectorExpr:
				switch n.Sel.Name {
				case "ParseFloat", "FormatFloat", "Float64", "InexactFloat64", "NewFromFloat":
					complain(n, n.Sel.Name)
				}
			}
			return true
		})
	})
	return found
}

// isRetryBackoff allows the one float that Temporal's API asks for.
func isRetryBackoff(f *File, line int) bool {
	return strings.Contains(f.Lines[line-1], "BackoffCoefficient")
}

// TLSIsVerified bans what would make a TLS connection prove nothing.
func TLSIsVerified(m *Module) []Violation {
	var found []Violation
	m.production(func(_ *Package, f *File) {
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			name, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			switch name.Name {
			case "InsecureSkipVerify", "VersionSSL30", "VersionTLS10", "VersionTLS11", "InsecureCipherSuites":
				found = append(found, Violation{"tls is verified", m.at(name),
					name.Name + ": connections verify whom they reach, by TLS 1.2 or later; trust an authority of your own by RootCAs"})
			}
			return true
		})
	})
	return found
}

// NoInit bans init functions: what runs is called by a main.
func NoInit(m *Module) []Violation {
	var found []Violation
	m.production(func(_ *Package, f *File) {
		for _, declaration := range f.Syntax.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if ok && !f.Generated && function.Recv == nil && function.Name.Name == "init" {
				found = append(found, Violation{"init", m.at(function), "no init(): construct it in internal/app"})
			}
		}
	})
	return found
}

// linkerVariables are set by -ldflags, which only variables can be.
func linkerVariables() []string { return []string{"starter.version"} }

// NoPackageState bans package-level variables that change: those without a
// value and those some function assigns to.
func NoPackageState(m *Module) []Violation {
	var found []Violation
	for _, p := range m.Packages {
		variables := packageVariables(p)
		for name, spec := range variables {
			if len(spec.Values) == 0 && !isLinkerVariable(p.Dir+"."+name) && !isEmbedded(spec) {
				found = append(found, Violation{"package state", m.at(spec),
					fmt.Sprintf("the package-level variable %s has no value, so it must change: keep it in a struct", name)})
			}
		}
		for _, f := range p.Files {
			if f.Test || f.Generated {
				continue
			}
			for _, declaration := range f.Syntax.Decls {
				function, ok := declaration.(*ast.FuncDecl)
				if !ok || function.Body == nil {
					continue
				}
				for _, name := range assignedIn(function) {
					if variables[name.Name] != nil {
						found = append(found, Violation{"package state", m.at(name),
							fmt.Sprintf("the package-level variable %s is changed here: keep it in a struct", name.Name)})
					}
				}
			}
		}
	}
	return found
}

func isLinkerVariable(name string) bool {
	for _, known := range linkerVariables() {
		if name == known {
			return true
		}
	}
	return false
}

// isEmbedded tells embed.FS, which the compiler fills.
func isEmbedded(spec *ast.ValueSpec) bool {
	selector, ok := spec.Type.(*ast.SelectorExpr)
	if ok && selector.Sel.Name == "FS" {
		return true
	}
	return spec.Doc != nil && strings.Contains(spec.Doc.Text(), "go:embed")
}

func packageVariables(p *Package) map[string]*ast.ValueSpec {
	found := map[string]*ast.ValueSpec{}
	for _, f := range p.Files {
		if f.Test || f.Generated {
			continue
		}
		for _, declaration := range f.Syntax.Decls {
			group, ok := declaration.(*ast.GenDecl)
			if !ok || group.Tok != token.VAR || embeds(group) {
				continue
			}
			for _, spec := range group.Specs {
				value := spec.(*ast.ValueSpec)
				for _, name := range value.Names {
					if name.Name != "_" {
						found[name.Name] = value
					}
				}
			}
		}
	}
	return found
}

// embeds tells a declaration the compiler fills from files.
func embeds(group *ast.GenDecl) bool {
	if group.Doc == nil {
		return false
	}
	for _, comment := range group.Doc.List {
		if strings.HasPrefix(comment.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

// assignedIn lists the names a function assigns to without declaring them.
func assignedIn(function *ast.FuncDecl) []*ast.Ident {
	declared := map[string]bool{}
	var assigned []*ast.Ident
	target := func(e ast.Expr) {
		for {
			switch at := e.(type) {
			case *ast.IndexExpr:
				e = at.X
				continue
			case *ast.SelectorExpr:
				e = at.X
				continue
			case *ast.Ident:
				assigned = append(assigned, at)
			}
			return
		}
	}
	ast.Inspect(function, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, name := range n.Names {
				declared[name.Name] = true
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				declared[name.Name] = true
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if name, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					declared[name.Name] = true
				}
			}
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				if name, ok := left.(*ast.Ident); ok && n.Tok == token.DEFINE {
					declared[name.Name] = true
				} else {
					target(left)
				}
			}
		case *ast.IncDecStmt:
			target(n.X)
		}
		return true
	})
	var outside []*ast.Ident
	for _, name := range assigned {
		if !declared[name.Name] {
			outside = append(outside, name)
		}
	}
	return outside
}

// calls finds uses of pkg.name.
func calls(f *ast.File, pkg, name string) []ast.Node {
	var found []ast.Node
	ast.Inspect(f, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok || selector.Sel.Name != name {
			return true
		}
		if at, ok := selector.X.(*ast.Ident); ok && at.Name == pkg {
			found = append(found, n)
		}
		return true
	})
	return found
}

package tidytest

import (
	"fmt"
	"sort"
	"strings"
)

// The picture lies between these two lines of docs/architecture.md.
const (
	pictureBegin = "<!-- imports:begin (drawn by internal/tidytest/gen; make generate) -->"
	pictureEnd   = "<!-- imports:end -->"
)

// Picture draws who imports whom as a Mermaid graph. An arrow points from the
// importer to the imported; an import that follows from others is left out.
func Picture(m *Module) string {
	edges := map[string]map[string]bool{}
	boxes := map[string]bool{}
	m.production(func(p *Package, f *File) {
		from := floor(p.Dir)
		boxes[from] = from != ""
		for path := range importsOf(f) {
			dir, ours := m.ours(path)
			if to := floor(dir); ours && from != "" && to != "" && from != to {
				if edges[from] == nil {
					edges[from] = map[string]bool{}
				}
				edges[from][to] = true
				boxes[to] = true
			}
		}
	})
	var nodes, lines []string
	for box, drawn := range boxes {
		if drawn {
			nodes = append(nodes, fmt.Sprintf("  %s[%s]", node(box), box))
		}
	}
	for from, targets := range edges {
		for to := range targets {
			if !reachable(edges, from, to) {
				lines = append(lines, fmt.Sprintf("  %s --> %s", node(from), node(to)))
			}
		}
	}
	sort.Strings(nodes)
	sort.Strings(lines)
	return "```mermaid\ngraph TD\n" + strings.Join(append(nodes, lines...), "\n") + "\n```\n"
}

// floor is the box of the picture a folder belongs to; empty leaves it out:
// foundations everybody stands on, and what only helps development.
func floor(dir string) string {
	switch {
	case under(dir, "internal/id", "internal/pg", "internal/telemetry", "internal/config", "core/fault", "migrations"):
		return ""
	case under(dir, "internal/app", "internal/demo", "internal/devseed", "internal/devstack"):
		return dir
	case under(dir, "internal"):
		return ""
	case under(dir, "core"):
		return strings.Join(strings.SplitN(dir, "/", 3)[:2], "/")
	default:
		top, _, _ := strings.Cut(dir, "/")
		return top
	}
}

// node is a name Mermaid accepts as an identifier.
func node(name string) string { return strings.ReplaceAll(name, "/", "_") }

// reachable reports whether to can be reached from from on a longer way.
func reachable(edges map[string]map[string]bool, from, to string) bool {
	seen := map[string]bool{}
	var walk func(at string) bool
	walk = func(at string) bool {
		if seen[at] {
			return false
		}
		seen[at] = true
		for next := range edges[at] {
			if at == from && next == to {
				continue
			}
			if next == to || walk(next) {
				return true
			}
		}
		return false
	}
	return walk(from)
}

// WithPicture returns the document with the picture put between its marks.
func WithPicture(document, picture string) (string, error) {
	before, rest, begun := strings.Cut(document, pictureBegin)
	_, after, ended := strings.Cut(rest, pictureEnd)
	if !begun || !ended {
		return "", fmt.Errorf("the document lacks the lines %q and %q", pictureBegin, pictureEnd)
	}
	return before + pictureBegin + "\n" + picture + pictureEnd + after, nil
}

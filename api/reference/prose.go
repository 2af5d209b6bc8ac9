package reference

import (
	"html/template"
	"regexp"
	"strings"
)

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	boldSpan = regexp.MustCompile(`\*\*([^*]+)\*\*`)
)

// prose turns the little Markdown that the contract uses into HTML: paragraphs,
// lists, code and bold. Everything else is shown as it is written.
func prose(text string) template.HTML {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		writeBlock(&b, strings.Split(strings.TrimSpace(paragraph), "\n"))
	}
	return template.HTML(b.String()) //nolint:gosec // spans escapes what it is given
}

// writeBlock writes the lines of one paragraph; those that begin with a dash are a list.
func writeBlock(b *strings.Builder, lines []string) {
	var text, items []string
	for _, line := range lines {
		item, isItem := strings.CutPrefix(line, "- ")
		switch {
		case isItem:
			items = append(items, item)
		case len(items) > 0: // a line that goes on
			items[len(items)-1] += " " + strings.TrimSpace(line)
		default:
			text = append(text, line)
		}
	}
	if joined := strings.TrimSpace(strings.Join(text, " ")); joined != "" {
		b.WriteString("<p>" + spans(joined) + "</p>")
	}
	if len(items) == 0 {
		return
	}
	b.WriteString("<ul>")
	for _, item := range items {
		b.WriteString("<li>" + spans(item) + "</li>")
	}
	b.WriteString("</ul>")
}

func spans(text string) string {
	text = template.HTMLEscapeString(text)
	text = codeSpan.ReplaceAllString(text, "<code>$1</code>")
	return boldSpan.ReplaceAllString(text, "<strong>$1</strong>")
}

// line is prose of one line, without a paragraph around it.
func line(text string) template.HTML {
	return template.HTML(spans(strings.Join(strings.Fields(text), " "))) //nolint:gosec // escaped
}

package page

import (
	_ "embed"
	"html/template"
	"log/slog"
	"net/http"
	"slices"

	"github.com/suanpan/suanpan/sandbox/books"
)

//go:embed list.html
var listSource string

// listed bounds the list of orders: it is a place to click, not a report.
const listed = 50

// entry is one order in the list.
type entry struct {
	view
	Token string
}

// List shows the newest orders that can still be paid, each with a link to its page.
func (h *Handler) List(w http.ResponseWriter, _ *http.Request) {
	var open []books.Order
	now := h.books.Now()
	err := h.books.View(func(v books.Reader) error {
		open = v.Orders(func(o books.Order) bool {
			return (o.State == books.OrderPrepared || o.State == books.OrderWaiting) && !o.Expired(now)
		})
		return nil
	})
	if err != nil {
		slog.Error("list of orders failed", "error", err)
		http.Error(w, "系统繁忙 Please try again", http.StatusInternalServerError)
		return
	}
	slices.SortFunc(open, func(a, b books.Order) int { return b.CreatedAt.Compare(a.CreatedAt) })
	entries := make([]entry, 0, listed)
	for _, o := range open[:min(len(open), listed)] {
		entries = append(entries, entry{h.show(o), o.Token})
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	if err := h.list.Execute(w, entries); err != nil {
		slog.Error("list of orders does not render", "error", err)
	}
}

func parseList() (*template.Template, error) { return template.New("list").Parse(listSource) }

package control

import (
	"log/slog"
	"net/http"

	"github.com/suanpan/suanpan/sandbox/books"
)

// totals shows what really happened, per merchant, in fen.
func (a *api) totals(*http.Request) (any, error) {
	totals := []books.Totals{}
	err := a.Books.View(func(view books.Reader) error {
		totals = append(totals, view.Totals()...)
		return nil
	})
	return map[string]any{"merchants": totals}, err
}

// movements shows every movement of money, oldest first, in fen.
func (a *api) movements(r *http.Request) (any, error) {
	query := r.URL.Query()
	wanted := func(name, value string) bool { return query.Get(name) == "" || query.Get(name) == value }
	movements := []books.Movement{}
	err := a.Books.View(func(view books.Reader) error {
		movements = append(movements, view.Movements(func(m books.Movement) bool {
			return wanted("provider", string(m.Provider)) && wanted("merchant", m.Merchant) &&
				wanted("number", m.Number) && wanted("kind", string(m.Kind))
		})...)
		return nil
	})
	return map[string]any{"movements": movements}, err
}

// journal hands out the raw file.
func (a *api) journal(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	if err := a.Books.WriteJournal(w); err != nil {
		slog.Error("journal cannot be read", "error", err)
	}
}

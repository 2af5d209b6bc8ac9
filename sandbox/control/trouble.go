package control

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/suanpan/suanpan/sandbox/bill"
	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/faults"
	"github.com/suanpan/suanpan/sandbox/notify"
)

func (a *api) addFault(r *http.Request) (any, error) {
	rule, err := read[faults.Rule](r)
	if err != nil {
		return nil, err
	}
	added, err := a.Faults.Add(rule)
	if err != nil {
		return nil, badBecause(err)
	}
	return added, nil
}

func (a *api) listFaults(*http.Request) (any, error) {
	return map[string]any{"faults": a.Faults.List()}, nil
}

// removeFaults ends the rule in the path, or in ?id=, or all.
func (a *api) removeFaults(r *http.Request) (any, error) {
	id := r.PathValue("id")
	if id == "" {
		id = r.URL.Query().Get("id")
	}
	removed := a.Faults.Remove(id)
	if id != "" && removed == 0 {
		return nil, fmt.Errorf("%w: fault %q", books.ErrNotFound, id)
	}
	return map[string]int{"removed": removed}, nil
}

func (a *api) addRule(r *http.Request) (any, error) {
	rule, err := read[notify.Rule](r)
	if err != nil {
		return nil, err
	}
	added, err := a.Rules.Add(rule)
	if err != nil {
		return nil, badBecause(err)
	}
	return added, nil
}

func (a *api) clearRules(*http.Request) (any, error) {
	a.Rules.Clear()
	return map[string]any{"rules": a.Rules.List()}, nil
}

// listNotifications shows every notification, every attempt and the rules.
func (a *api) listNotifications(r *http.Request) (any, error) {
	query := r.URL.Query()
	matches := func(p books.Provider, number string) bool {
		return (query.Get("provider") == "" || query.Get("provider") == string(p)) &&
			(query.Get("number") == "" || query.Get("number") == number)
	}
	notifications, deliveries := []books.Notification{}, []books.Delivery{}
	err := a.Books.View(func(view books.Reader) error {
		for _, n := range view.Notifications() {
			if matches(n.Provider, n.Number) {
				notifications = append(notifications, n)
			}
		}
		for _, d := range view.Deliveries() {
			if matches(d.Provider, d.Number) {
				deliveries = append(deliveries, d)
			}
		}
		return nil
	})
	return map[string]any{"notifications": notifications, "deliveries": deliveries, "rules": a.Rules.List()}, err
}

type clockView struct {
	Now           time.Time `json:"now"`
	Real          time.Time `json:"real"`
	OffsetSeconds float64   `json:"offset_seconds"`
}

func (a *api) showClock(*http.Request) (any, error) {
	var shown clockView
	err := a.Books.View(func(view books.Reader) error {
		shown = clockView{view.Now().In(a.Zone), view.Now().Add(-view.Offset()).In(a.Zone), view.Offset().Seconds()}
		return nil
	})
	return shown, err
}

type clockChange struct {
	Now            *time.Time `json:"now"`
	AdvanceSeconds *int64     `json:"advance_seconds"`
}

// setClock moves the business clock; protocol time stays real.
func (a *api) setClock(r *http.Request) (any, error) {
	in, err := read[clockChange](r)
	if err != nil {
		return nil, err
	}
	if (in.Now == nil) == (in.AdvanceSeconds == nil) {
		return nil, bad("give now (RFC 3339) or advance_seconds, one of them")
	}
	const tenYears = 10 * 366 * 24 * time.Hour
	err = a.Books.Update("clock_set", func(tx *books.Tx) error {
		offset := tx.Offset()
		if in.Now != nil {
			offset = in.Now.Sub(tx.RealNow())
		} else if *in.AdvanceSeconds > int64(tenYears/time.Second) || *in.AdvanceSeconds < -int64(tenYears/time.Second) {
			return bad("advance_seconds must stay within ten years")
		} else {
			offset += time.Duration(*in.AdvanceSeconds) * time.Second
		}
		if offset > tenYears || offset < -tenYears {
			return bad("the business clock must stay within ten years of real time")
		}
		tx.SetClockOffset(offset)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a.showClock(r)
}

func (a *api) addEdit(r *http.Request) (any, error) {
	edit, err := read[books.BillEdit](r)
	if err != nil {
		return nil, err
	}
	if _, err := provider(string(edit.Provider)); err != nil {
		return nil, err
	}
	if err := bill.CheckEdit(edit); err != nil {
		return nil, badBecause(err)
	}
	edit.ID = ulid.Make().String()
	err = a.Books.Update("bill_edit_added", func(tx *books.Tx) error {
		tx.PutBillEdit(edit)
		return nil
	})
	return edit, err
}

func (a *api) listEdits(r *http.Request) (any, error) {
	edits := []books.BillEdit{}
	err := a.Books.View(func(view books.Reader) error {
		edits = append(edits, view.BillEdits(books.Provider(r.URL.Query().Get("provider")), r.URL.Query().Get("date"))...)
		return nil
	})
	return map[string]any{"edits": edits}, err
}

// clearEdits ends the edits that ?provider=, ?date= and ?id= name; all without them.
func (a *api) clearEdits(r *http.Request) (any, error) {
	query := r.URL.Query()
	cleared := 0
	err := a.Books.Update("bill_edits_cleared", func(tx *books.Tx) error {
		edits := tx.BillEdits(books.Provider(query.Get("provider")), query.Get("date"))
		edits = slices.DeleteFunc(edits, func(e books.BillEdit) bool {
			return query.Get("id") != "" && e.ID != query.Get("id")
		})
		for _, e := range edits {
			tx.ClearBillEdit(e.ID)
		}
		cleared = len(edits)
		return nil
	})
	return map[string]int{"cleared": cleared}, err
}

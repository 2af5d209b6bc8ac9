package api

import (
	"encoding/base64"
	"strings"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
)

// defaultLimit is the page size when the caller names none.
const defaultLimit = 20

// cursorPrefix versions what a cursor holds.
const cursorPrefix = "1."

// page is a checked limit and position. The position is the id of the last
// object of the page before: a plain fact within the tenant's own list, so a
// forged one can at worst ask for another page of the caller's own objects.
type page struct {
	limit int
	// before is empty on the first page.
	before string
}

// readPage checks limit and cursor; a cursor of another kind of list is refused.
func readPage(limit *int, cursor *string, prefix id.Prefix) (page, error) {
	p := page{limit: defaultLimit}
	if limit != nil {
		p.limit = *limit
	}
	if cursor == nil {
		return p, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*cursor)
	before, ok := strings.CutPrefix(string(raw), cursorPrefix)
	if err != nil || !ok || id.Check(prefix, before) != nil {
		return p, fault.Invalid("cursor", "cursor_malformed", "This is not a next_cursor of this list; start again without a cursor.")
	}
	p.before = before
	return p, nil
}

// nextCursor encodes the position after an object; nil when there is no next page.
func nextCursor(last string) *string {
	if last == "" {
		return nil
	}
	cursor := base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + last))
	return &cursor
}

// cut takes a list that was read with one object more than the page holds and
// returns the page, mapped, and the cursor of the next.
func cut[T, U any](list []T, limit int, idOf func(T) string, show func(T) U) ([]U, *string) {
	next := after(list, limit, idOf)
	return mapped(list[:min(len(list), limit)], show), next
}

// mapped never returns nil, so that an empty list is [] and not null.
func mapped[T, U any](list []T, show func(T) U) []U {
	out := make([]U, 0, len(list))
	for _, item := range list {
		out = append(out, show(item))
	}
	return out
}

// after is the cursor of the page that follows the first limit objects of list,
// nil when list holds no more.
func after[T any](list []T, limit int, idOf func(T) string) *string {
	if len(list) <= limit {
		return nil
	}
	return nextCursor(idOf(list[limit-1]))
}

package client

import (
	"errors"
	"iter"
)

// errNoPage is an answer that succeeded and was no page in JSON.
var errNoPage = errors.New("suanpan: the answer is not a page in JSON; ask for a file without the iterator")

// everyPage yields what the pages hold, and asks for a page only when the one
// before is used up. cursor is where to begin, nil for the beginning.
func everyPage[T any](cursor *string, page func(cursor *string) ([]T, *string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for at := cursor; ; {
			data, next, err := page(at)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range data {
				if !yield(item, nil) {
					return
				}
			}
			if next == nil {
				return
			}
			at = next
		}
	}
}

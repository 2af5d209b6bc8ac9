package crashmatrix

import (
	"fmt"
	"hash/fnv"
)

// Share returns the cells of every n-th part that seed falls on. Of n seeds in a
// row each cell is in the share of exactly one.
func Share(cells []string, n int, seed uint64) []string {
	var mine []string
	for _, cell := range cells {
		h := fnv.New64a()
		_, _ = h.Write([]byte(cell)) // never fails
		if n < 2 || (h.Sum64()%uint64(n)+seed)%uint64(n) == 0 {
			mine = append(mine, cell)
		}
	}
	return mine
}

// ParseShare reads 1/8, the share of one in eight.
func ParseShare(text string) (n int, err error) {
	if _, err := fmt.Sscanf(text, "1/%d", &n); err != nil || n < 1 {
		return 0, fmt.Errorf("the share %q is not like 1/8", text)
	}
	return n, nil
}

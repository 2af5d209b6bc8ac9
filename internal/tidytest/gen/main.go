// Command gen draws the picture of imports into a document, between its marks.
// It must run in the root of the checkout.
package main

import (
	"fmt"
	"os"

	"github.com/suanpan/suanpan/internal/tidytest"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./internal/tidytest/gen docs/architecture.md")
		os.Exit(2)
	}
	if err := draw(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func draw(file string) error {
	module, err := tidytest.Load(".")
	if err != nil {
		return err
	}
	document, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	drawn, err := tidytest.WithPicture(string(document), tidytest.Picture(module))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(drawn), 0o644)
}

// Command clientgen writes what the generators of the two clients leave out:
// iterators over lists for the Go client, and one method per operation for the
// TypeScript client. Both follow the contract and are regenerated with it.
//
// The Go part reads client.gen.go, so that its names are those of the generator;
// the TypeScript part reads openapi.yaml. It imports nothing of the platform.
package main

import (
	"fmt"
	"os"
)

const usage = "usage: go run ./internal/clientgen go client/client.gen.go client/lists.gen.go\n" +
	"       go run ./internal/clientgen typescript api/openapi.yaml client/typescript/src/operations.gen.ts"

func main() {
	if len(os.Args) != 4 {
		fail(fmt.Errorf("three arguments are needed\n%s", usage))
	}
	generators := map[string]func(from []byte) ([]byte, error){"go": goLists, "typescript": typeScriptOperations}
	generate, known := generators[os.Args[1]]
	if !known {
		fail(fmt.Errorf("%q is no language\n%s", os.Args[1], usage))
	}
	from, err := os.ReadFile(os.Args[2])
	if err != nil {
		fail(err)
	}
	text, err := generate(from)
	if err != nil {
		fail(err)
	}
	if err := os.WriteFile(os.Args[3], text, 0o644); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "clientgen:", err)
	os.Exit(1)
}

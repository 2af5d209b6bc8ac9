// Package tidytest owns the house rules a program can hold: which package may
// import which, where SQL, vendor SDKs, Gin and the environment may appear, no
// floating point near money, no hidden state, no skipped tests, readable
// sizes. It also draws the picture of imports in docs/architecture.md.
//
// It reads source text only; it may not import any package of the platform.
package tidytest

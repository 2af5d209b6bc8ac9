// Command starter is everything of the platform but the worker: the API, the
// tools an operator runs on the database, and the development stack. It owns
// the command line: each command is one file with one function that returns
// it, listed in root.go. It may read the environment (and hands it on), but
// holds no business rules.
package main

// Package postgres owns a local PostgreSQL server for development and tests:
// it finds the installed binaries (on Debian as root it installs them), makes
// a data directory, starts the server on it, waits until it answers, and stops
// it. PostgreSQL refuses to run as root, so under root the server runs as
// another user, and its data moves to a directory that user can reach.
//
// It may not know our schema or our configuration. Production databases are
// run by their operators and never by this package.
package postgres

// Package temporaldev owns a local Temporal development server and the Web UI
// beside it: it builds Temporal's own programs from the pinned module
// tools/temporal-cli once, keeps them in the user's cache, starts the server on a
// file, and tells when it answers.
//
// It may not know our workflows or our configuration. Production runs Temporal
// on PostgreSQL (deploy/temporal), never this server.
package temporaldev

// Package pgtest owns databases for tests: each test gets a fresh database
// with the production schema and roles, cloned from a template that is
// migrated once per version of the migrations, however many test processes
// run at the same time.
//
// The server is the one SUANPAN_TEST_DATABASE_URL names (`make test` sets it),
// or a private one that Main starts for the process. Only tests may import
// this package; tidytest holds that.
package pgtest

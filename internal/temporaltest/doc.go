// Package temporaltest owns Temporal servers for tests: each test gets a
// namespace of its own, with our search attributes, on the server that
// SUANPAN_TEST_TEMPORAL_ADDRESS names (`make test` sets it) or on a private
// one that With starts for the process. Only tests may import this package.
package temporaltest

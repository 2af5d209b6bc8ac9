// Package temporalserver owns how the full Temporal server, the one of
// production and not the development server, is run on PostgreSQL by our tools:
// its programs under their plain names, its schema, its ports, its environment
// and the question whether it answers.
//
// It may not decide any setting that an installation decides (databases, shards,
// log level): callers bring those as the server's own variables. Nothing that
// serves may import it.
package temporalserver

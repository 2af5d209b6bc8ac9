// Package temporaltrace owns where traces meet Temporal: an interceptor that takes a
// trace from the API over the start of a workflow into the workflow and its activities.
// It goes by way of the header of Temporal's own tracing interceptor, so that programs
// of other SDKs can take part.
//
// It may not know what any activity or workflow does, and may not change what a
// workflow commands: histories replay with it and without it.
package temporaltrace

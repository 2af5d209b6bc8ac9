// Package peer owns the answer to where a request comes from. It may not decide what
// follows from that.
package peer

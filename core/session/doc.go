// Package session owns the sessions of people who signed in at a page of the platform:
// random tokens that stand for somebody until they end. Only a digest is kept.
//
// It may not know how somebody proves who he is, nor what he may do.
package session

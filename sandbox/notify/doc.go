// Package notify owns the delivery of notifications: when each attempt is due
// by the provider's own schedule, and what is recorded about it. Everything is
// kept in the books, so a restart goes on where it stopped; a crash between an
// attempt and its record repeats the attempt, as the providers do.
//
// It may not know how a provider writes or signs a notification: that is a
// Channel.
package notify

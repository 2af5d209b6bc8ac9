// Package devseed owns what a development stack starts with: one tenant with an
// API key, and its channel accounts at the sandbox with fresh key pairs, as a
// merchant's portal would hand them out.
//
// It is for development only and may not be used by a serving process.
package devseed

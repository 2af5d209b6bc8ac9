// Package demo owns the main job as a customer would run it: it opens a small
// mall, collects through the public HTTP API, pays as payers would at the
// sandbox, refunds, withdraws, closes the day and compares every fen it sees
// with figures it computed itself.
//
// It may import nothing of the platform but client: what it knows comes from
// the contract, and its arithmetic is its own on purpose.
package demo

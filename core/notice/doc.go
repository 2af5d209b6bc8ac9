// Package notice owns the judgement of a notification that a provider signed:
// it is stored only if its number is ours, was given to this very channel
// account, and its amount and currency are what was asked under that number.
// What contradicts that is refused with an audit row; a signature only says who
// wrote a message, not that it is about the order it names.
//
// It decides nothing about money: a stored notification makes a workflow ask
// the provider itself. It may not know HTTP, a particular provider or Temporal.
package notice

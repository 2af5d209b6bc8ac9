// Command seededbugs shows that the tests can fail. It keeps a list of small
// bugs, each of a kind that loses or doubles money somewhere; it puts one after
// the other into the code that the compiler sees, without touching a file, and
// demands that the one test that guards against it fails.
//
// A bug whose place in the code is gone, a guard that does not pass on the code
// as it is, and a bug that its guard does not catch are failures of the command.
//
// Usage: make seeded-bugs BUG_FLAGS="[-only NAME] [-share N] [-seed N] [-places]"
package main

package secret

import (
	"errors"
	"fmt"
	"log/slog"
)

// redacted is what is shown instead of a secret.
const redacted = "[secret]"

// Value is a secret in memory. Printing it in any way, logging it and encoding it
// show a placeholder or fail; Reveal is the only way to the text, so that a
// search for it finds every use.
//
// The text is behind a pointer because fmt does not ask an unexported field of
// another struct how it wants to be printed.
type Value struct{ text *[]byte }

// NewValue keeps text, which the caller may not change any more.
func NewValue(text []byte) Value { return Value{&text} }

// Reveal returns the secret itself, for handing it to what needs it.
func (v Value) Reveal() []byte {
	if v.text == nil {
		return nil
	}
	return *v.text
}

// Empty reports whether there is nothing to hide.
func (v Value) Empty() bool { return len(v.Reveal()) == 0 }

// String hides the secret.
func (v Value) String() string { return redacted }

// Format hides the secret under every verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the secret from slog.
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses, which ends encoding as JSON, XML or text.
func (v Value) MarshalText() ([]byte, error) { return nil, errors.New("a secret is not encoded") }

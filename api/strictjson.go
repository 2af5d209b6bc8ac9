package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/suanpan/suanpan/core/fault"
)

// maxDepth bounds how deep objects and arrays may nest.
const maxDepth = 32

// checkJSON refuses what encoding/json would let pass or silently change: more
// than one value, the same key twice, deep nesting, invalid UTF-8, NUL and lone
// surrogates, and every number that is not written as a plain integer (the
// contract has no others, and a float must never come near an amount). The
// refusal names the field where there is one.
func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return fault.Invalid("", "json_malformed", "The body is not valid UTF-8.")
	}
	c := jsonChecker{dec: json.NewDecoder(bytes.NewReader(body)), body: body}
	c.dec.UseNumber()
	if err := c.value("", 0); err != nil {
		return err
	}
	if _, err := c.dec.Token(); !errors.Is(err, io.EOF) {
		return fault.Invalid("", "json_trailing_data", "There is something after the JSON value; send exactly one object.")
	}
	return nil
}

type jsonChecker struct {
	dec  *json.Decoder
	body []byte
}

func (c *jsonChecker) token() (json.Token, string, error) {
	before := c.dec.InputOffset()
	t, err := c.dec.Token()
	if err != nil {
		return nil, "", fault.Invalid("", "json_malformed",
			fmt.Sprintf("The body is not one JSON value; it breaks off or goes wrong after byte %d.", c.dec.InputOffset()))
	}
	raw := strings.Trim(string(c.body[before:c.dec.InputOffset()]), " \t\r\n,:")
	return t, raw, nil
}

func (c *jsonChecker) value(path string, depth int) error {
	if depth > maxDepth {
		return fault.Invalid(path, "json_too_deep", fmt.Sprintf("The JSON nests deeper than %d levels.", maxDepth))
	}
	t, raw, err := c.token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return c.object(path, depth)
		}
		return c.array(path, depth)
	case json.Number:
		return checkNumber(path, t.String())
	case string:
		return checkString(path, raw, t)
	}
	return nil
}

func (c *jsonChecker) object(path string, depth int) error {
	seen := map[string]bool{}
	for c.dec.More() {
		t, raw, err := c.token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fault.Invalid(path, "json_malformed", "A field name is not a string.")
		}
		field := key
		if path != "" {
			field = path + "." + key
		}
		if err := checkString(path, raw, key); err != nil {
			return err
		}
		if seen[key] {
			return fault.Invalid(field, "json_duplicate_key", "This field occurs twice; send it once.")
		}
		seen[key] = true
		if err := c.value(field, depth+1); err != nil {
			return err
		}
	}
	_, _, err := c.token()
	return err
}

func (c *jsonChecker) array(path string, depth int) error {
	for i := 0; c.dec.More(); i++ {
		if err := c.value(fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
			return err
		}
	}
	_, _, err := c.token()
	return err
}

func checkNumber(path, number string) error {
	if strings.ContainsAny(number, ".eE") || number == "-0" {
		return fault.Invalid(path, "integer_required",
			"This number must be a plain integer, without fraction or exponent; amounts are in minor units.")
	}
	if len(number) > 20 {
		return fault.Invalid(path, "integer_out_of_range", "This number is too large.")
	}
	return nil
}

// checkString looks at the text as written (raw, with its quotes) and as decoded.
func checkString(path, raw, text string) error {
	if strings.ContainsRune(text, 0) {
		return fault.Invalid(path, "characters_not_allowed", "The text holds a NUL character.")
	}
	// The decoder turns half a surrogate pair into U+FFFD; then what was written
	// as an escape is not what was decoded.
	if strings.ContainsRune(text, utf8.RuneError) && !strings.ContainsRune(raw, utf8.RuneError) &&
		!strings.Contains(strings.ToLower(raw), `\ufffd`) {
		return fault.Invalid(path, "characters_not_allowed", "The text holds half of a surrogate pair.")
	}
	return nil
}

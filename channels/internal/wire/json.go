package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a document; providers use five levels.
const maxDepth = 32

// PlainJSON returns an error unless data is exactly one JSON object in UTF-8
// in which no object repeats a key. A repeated key is refused because the
// signature check, the decoder and a person could each read another of the
// values.
func PlainJSON(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return errors.New("not a JSON object")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := walk(decoder, 0); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("text after the JSON object")
	}
	return nil
}

// walk reads one value.
func walk(decoder *json.Decoder, depth int) error {
	if depth > maxDepth {
		return errors.New("JSON is nested too deeply")
	}
	token, err := decoder.Token()
	if err != nil {
		return notJSON(err)
	}
	delim, isDelim := token.(json.Delim)
	if !isDelim {
		return nil
	}
	keys := map[string]bool{}
	for decoder.More() {
		if delim == '{' {
			key, err := decoder.Token()
			if err != nil {
				return notJSON(err)
			}
			name, _ := key.(string)
			if keys[name] {
				return errors.New("a JSON key is repeated")
			}
			keys[name] = true
		}
		if err := walk(decoder, depth+1); err != nil {
			return err
		}
	}
	if _, err = decoder.Token(); err != nil {
		return notJSON(err)
	}
	return nil
}

// notJSON keeps the decoder's words out of messages: they quote the input.
func notJSON(error) error { return errors.New("not JSON") }

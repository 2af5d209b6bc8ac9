package faults

import (
	"bytes"
	"compress/gzip"
	"regexp"

	"golang.org/x/text/encoding/simplifiedchinese"
)

const (
	// hugeSize is more than any client should read of an answer.
	hugeSize = 50 << 20
	// bombSize is what a gzip bomb grows to.
	bombSize = 1 << 30
)

// change makes the body wrong in the way that was asked for. A body without
// the field stays as it is.
func (f *Fault) change(body []byte) []byte {
	switch f.Kind {
	case Flip:
		return replaceField(body, f.Field, f.Value)
	case DuplicateKey:
		return repeatField(body, f.Field, f.Value)
	case WrongCharset:
		if text, err := simplifiedchinese.GBK.NewEncoder().Bytes(body); err == nil {
			return text
		}
	}
	return body
}

// field finds a key and its simple value: text, number, true, false or null.
func field(name string) *regexp.Regexp {
	return regexp.MustCompile(`("` + regexp.QuoteMeta(name) + `"\s*:\s*)("(?:[^"\\]|\\.)*"|[-0-9.eE+]+|true|false|null)`)
}

func replaceField(body []byte, name, value string) []byte {
	at := field(name).FindSubmatchIndex(body)
	if at == nil {
		return body
	}
	return splice(body, at[4], at[5], value)
}

func repeatField(body []byte, name, value string) []byte {
	at := field(name).FindSubmatchIndex(body)
	if at == nil {
		return body
	}
	return splice(body, at[0], at[0], string(body[at[2]:at[3]])+value+",")
}

// splice puts text in place of body[from:to].
func splice(body []byte, from, to int, text string) []byte {
	out := append([]byte(nil), body[:from]...)
	return append(append(out, text...), body[to:]...)
}

// huge keeps the beginning and goes on with blanks, which JSON allows.
func huge(reply Reply) Reply {
	return Reply{Status: filled(reply.Status), Header: reply.Header.Clone(),
		Body: append(append([]byte(nil), reply.Body...), bytes.Repeat([]byte(" "), hugeSize)...)}
}

// gzipBomb answers about a megabyte that unpacks to bombSize.
func gzipBomb(reply Reply) Reply {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = writer.Write(reply.Body) // a buffer takes everything
	block := bytes.Repeat([]byte(" "), 1<<20)
	for range bombSize / len(block) {
		_, _ = writer.Write(block)
	}
	_ = writer.Close()
	header := reply.Header.Clone()
	header.Set("Content-Encoding", "gzip")
	return Reply{Status: filled(reply.Status), Header: header, Body: packed.Bytes()}
}

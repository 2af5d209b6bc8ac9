package faults

import (
	"bytes"
	"compress/gzip"
	"regexp"
	"sync"

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
		text := append([]byte(`{"remark":"汉字",`), bytes.TrimPrefix(body, []byte("{"))...)
		if text, err := simplifiedchinese.GBK.NewEncoder().Bytes(text); err == nil {
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
	return Reply{Status: filled(reply.Status), Header: reply.Header.Clone(), Body: reply.Body, Padding: hugeSize}
}

// gzipBomb answers about a megabyte that unpacks to bombSize.
func gzipBomb(reply Reply) Reply {
	header := reply.Header.Clone()
	header.Set("Content-Encoding", "gzip")
	// A gzip file may have several members: the honest body, and the bomb.
	return Reply{Status: filled(reply.Status), Header: header, Body: append(packed(reply.Body, 1), bomb()...)}
}

// bomb is packed once: that takes seconds.
var bomb = sync.OnceValue(func() []byte {
	block := bytes.Repeat([]byte(" "), 1<<20)
	return packed(block, bombSize/len(block))
})

// packed is block, repeated times, in gzip.
func packed(block []byte, times int) []byte {
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	for range times {
		_, _ = writer.Write(block) // a buffer takes everything
	}
	_ = writer.Close()
	return out.Bytes()
}

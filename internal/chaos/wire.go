package main

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
)

// protocol is what is spoken on a link, as far as the wire understands it.
type protocol int

const (
	opaque   protocol = iota
	postgres          // PostgreSQL's, to see open transactions and commits
	web               // HTTP/1.1, to see requests that are not answered yet
)

// wire is the one toxic that is in each direction of every link from the first
// connection on. It counts what is under way, and it spoils what passes when it
// is told to. Toxiproxy's own way of adding toxics to live connections waits for
// the connection, which here may lead to a stopped process.
type wire struct {
	link *link
	down bool // from the server to the client
}

// Pipe implements toxics.Toxic.
func (w *wire) Pipe(stub *toxics.ToxicStub) {
	c := stub.State.(*passage)
	for {
		if c.pending != nil {
			select {
			case stub.Output <- c.pending:
				c.pending = nil
			case <-stub.Interrupt: // what is pending is sent when the pipe runs again
				return
			case <-c.cut:
				w.end(stub, c)
				return
			}
		}
		select {
		case <-stub.Interrupt:
			return
		case <-c.cut:
			w.end(stub, c)
			return
		case chunk := <-stub.Input:
			if chunk == nil {
				w.link.leave(c)
				stub.Close()
				return
			}
			if !w.pass(chunk, c) {
				w.end(stub, c)
				return
			}
			c.pending = chunk
		}
	}
}

// NewState implements toxics.StatefulToxic: one passage per direction of each
// connection.
func (w *wire) NewState() any { return w.link.enter(w.down) }

// end closes the connection from here and swallows what still comes, so that
// nothing before this toxic waits for ever.
func (w *wire) end(stub *toxics.ToxicStub, c *passage) {
	w.link.leave(c)
	stub.Close()
	go func() {
		for range stub.Input { //nolint:revive // the bytes are lost, as they would be
		}
	}()
}

// pass looks at one chunk and does to it what is in force; false cuts the
// connection without passing it on.
func (w *wire) pass(chunk *stream.StreamChunk, c *passage) bool {
	l := w.link
	l.chunks.Add(1)
	l.touched.Store(time.Now().UnixNano())
	committed := c.read(chunk.Data)
	if committed && l.loseCommits.Load() > 0 && l.loseCommits.Add(-1) >= 0 {
		l.lostCommits.Add(1)
		return false
	}
	if delay := time.Duration(l.delay.Load()); delay > 0 {
		l.delayed.Add(1)
		select {
		case <-time.After(delay):
		case <-c.cut:
			return false
		}
	}
	if hole := l.hole.Load(); hole != nil {
		l.held.Add(1)
		select {
		case <-*hole:
		case <-c.cut:
			return false
		}
	}
	return true
}

// passage is one direction of one connection.
type passage struct {
	link    *link
	down    bool
	cut     chan struct{}
	pending *stream.StreamChunk
	once    sync.Once

	server  pgReader // of the downward direction with PostgreSQL
	writing bool     // a transaction on this connection has written and not committed
	counted int64    // requests sent, or answers received, on this connection
}

// read follows the protocol and reports whether the chunk tells of the commit
// of a transaction that wrote something.
func (c *passage) read(data []byte) (committed bool) {
	switch c.link.speaks {
	case postgres:
		if c.down {
			return c.readPostgres(data)
		}
	case web:
		c.readWeb(data)
	}
	return false
}

func (c *passage) readPostgres(data []byte) (committed bool) {
	c.server.feed(data, func(kind byte, body []byte) {
		switch kind {
		case 'C': // a statement has ended; the tag says which
			tag := string(bytes.TrimRight(body, "\x00"))
			switch {
			case tag == "COMMIT":
				committed = committed || c.writing
			case wrote(tag) && !c.writing:
				c.writing = true
				c.link.writing.Add(1)
			}
		case 'Z': // ready for the next; the body says whether in a transaction
			if len(body) == 1 && body[0] != 'T' && c.writing {
				c.writing = false
				c.link.writing.Add(-1)
			}
		}
	})
	return committed
}

// wrote tells the tags of statements that changed rows.
func wrote(tag string) bool {
	verb, count, _ := strings.Cut(tag, " ")
	return (verb == "INSERT" && tag != "INSERT 0 0") || ((verb == "UPDATE" || verb == "DELETE") && count != "0")
}

func (c *passage) readWeb(data []byte) {
	if c.down {
		if bytes.HasPrefix(data, []byte("HTTP/1.1 ")) {
			c.counted++
			c.link.requests.Add(-1)
		}
		return
	}
	if operation, begins := webOperation(data); begins {
		c.counted++
		c.link.requests.Add(1)
		c.link.operation.Store(&operation)
	}
}

// webOperation names the request that data begins with, if it begins one.
func webOperation(data []byte) (string, bool) {
	line, rest, _ := bytes.Cut(data, []byte("\r\n"))
	method, path, _ := strings.Cut(string(line), " ")
	if method != "GET" && method != "POST" {
		return "", false
	}
	path, _, _ = strings.Cut(path, " ")
	path, query, _ := strings.Cut(path, "?")
	for _, text := range []string{query, string(rest)} {
		if _, after, found := strings.Cut(text, "method=alipay."); found {
			name, _, _ := strings.Cut(after, "&")
			name, _, _ = strings.Cut(name, "\r")
			return "alipay." + name, true
		}
	}
	return method + " " + withoutNumbers(path), true
}

// withoutNumbers keeps a path's shape, so that the same step has the same name.
func withoutNumbers(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if len(part) >= 20 {
			parts[i] = "…"
		}
	}
	return strings.Join(parts, "/")
}

// pgReader takes PostgreSQL's messages apart, whatever the chunks are.
type pgReader struct {
	head []byte // of the message under way: type and length
	body []byte
	skip int
	keep bool
}

// feed calls message for each complete message of a kind that matters.
func (r *pgReader) feed(data []byte, message func(kind byte, body []byte)) {
	const header = 5
	for len(data) > 0 {
		if len(r.head) < header {
			n := min(header-len(r.head), len(data))
			r.head, data = append(r.head, data[:n]...), data[n:]
			if len(r.head) < header {
				return
			}
			r.skip = int(uint32(r.head[1])<<24|uint32(r.head[2])<<16|uint32(r.head[3])<<8|uint32(r.head[4])) - 4
			r.keep = r.head[0] == 'C' || r.head[0] == 'Z'
			r.body = r.body[:0]
		}
		n := min(r.skip, len(data))
		if r.keep {
			r.body = append(r.body, data[:n]...)
		}
		data, r.skip = data[n:], r.skip-n
		if r.skip > 0 {
			return
		}
		if r.keep {
			message(r.head[0], r.body)
		}
		r.head = r.head[:0]
	}
}

// link is one way from a process to a service, with what is under way on it and
// what is done to it. Safe for concurrent use.
type link struct {
	name   string
	from   string // the process that calls
	to     string // what it calls
	speaks protocol

	chunks   atomic.Int64
	touched  atomic.Int64 // when bytes last passed, in Unix nanoseconds
	writing  atomic.Int64 // transactions that wrote and have not ended
	requests atomic.Int64 // requests without an answer
	// operation is the request that was sent last.
	operation atomic.Pointer[string]

	delay       atomic.Int64 // nanoseconds for each chunk
	hole        atomic.Pointer[chan struct{}]
	loseCommits atomic.Int64

	delayed, held, lostCommits, cutOff atomic.Int64

	mu       sync.Mutex
	passages map[*passage]bool
}

func newLink(name, from, to string, speaks protocol) *link {
	return &link{name: name, from: from, to: to, speaks: speaks, passages: map[*passage]bool{}}
}

func (l *link) enter(down bool) *passage {
	c := &passage{link: l, down: down, cut: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passages[c] = true
	return c
}

// leave takes what was under way on a connection that ended out of the counts.
func (l *link) leave(c *passage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.passages[c] {
		return
	}
	delete(l.passages, c)
	if c.writing {
		l.writing.Add(-1)
	}
	if c.down {
		l.requests.Add(c.counted)
	} else {
		l.requests.Add(-c.counted)
	}
}

// sever closes every connection of the link and returns how many there were.
func (l *link) sever() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for c := range l.passages {
		c.once.Do(func() { close(c.cut) })
		if c.down {
			n++
		}
	}
	l.cutOff.Add(int64(n))
	return n
}

// live is how many connections there are.
func (l *link) live() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for c := range l.passages {
		if c.down {
			n++
		}
	}
	return n
}

// busy tells what is under way on the link, in words, or "".
func (l *link) busy() string {
	switch {
	case l.speaks == postgres && l.writing.Load() > 0:
		return "a transaction that wrote"
	case l.speaks == web && l.requests.Load() > 0:
		if operation := l.operation.Load(); operation != nil {
			return *operation
		}
		return "a request"
	}
	return ""
}

package faults

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Reply is an HTTP answer that was not sent yet.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
	// Padding is how many blanks follow the body.
	Padding int
}

// Write sends the reply.
func (r Reply) Write(w http.ResponseWriter) {
	for name, values := range r.Header {
		w.Header()[name] = values
	}
	if r.Status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(r.Body)+r.Padding))
	}
	w.WriteHeader(r.Status)
	_, _ = w.Write(r.Body)
	blanks := bytes.Repeat([]byte(" "), min(r.Padding, 64<<10))
	for left := r.Padding; left > 0; left -= len(blanks) {
		if _, err := w.Write(blanks[:min(left, len(blanks))]); err != nil {
			return // the caller has had enough
		}
	}
}

// Fault is what happens to one request. A nil Fault is no fault.
type Fault struct {
	Kind         Kind
	Answer       string
	Field, Value string
	Delay        time.Duration
}

// Answers are what a gateway can say to one request.
type Answers struct {
	// Work does what was asked and returns the honest answer.
	Work func() Reply
	// SystemError is the provider's "try again, outcome unknown".
	SystemError func(answer string) Reply
	// Refuse is the provider's refusal with one of its error codes; nothing is done.
	Refuse func(code string) Reply
	// Forge returns the reply with a signature that does not verify.
	Forge func(Reply) Reply
	// Unsign returns the reply without its signature; nil where answers have none.
	Unsign func(Reply) Reply
	// Relabel returns the reply under the serial of a key that nobody has; nil where
	// answers have none.
	Relabel func(Reply) Reply
	// Rewrite returns the reply with another body, signed as an honest one.
	Rewrite func(reply Reply, change func(body []byte) []byte) Reply
}

// Serve does the work unless the fault forbids it, and answers.
func (f *Fault) Serve(w http.ResponseWriter, r *http.Request, a Answers) {
	if f == nil {
		a.Work().Write(w)
		return
	}
	if f.idle(w, r, a) {
		return
	}
	reply := a.Work()
	f.pause(r)
	switch f.Kind {
	case LoseReply:
		reset(w)
	case ErrorAfterSuccess:
		f.systemError(a).Write(w)
	case BadSignature:
		a.Forge(reply).Write(w)
	case Unsigned:
		rewritten(reply, a.Unsign).Write(w)
	case WrongSerial:
		rewritten(reply, a.Relabel).Write(w)
	case Garbage:
		garbage(reply).Write(w)
	case Flip, DuplicateKey, WrongCharset:
		a.Rewrite(reply, f.change).Write(w)
	case Huge:
		huge(reply).Write(w)
	case GzipBomb:
		gzipBomb(reply).Write(w)
	default:
		reply.Write(w)
	}
}

func rewritten(reply Reply, change func(Reply) Reply) Reply {
	if change == nil {
		return reply
	}
	return change(reply)
}

// idle answers the faults that do no work, and reports whether this is one.
func (f *Fault) idle(w http.ResponseWriter, r *http.Request, a Answers) bool {
	switch f.Kind {
	case LoseRequest:
		f.pause(r)
		reset(w)
	case ErrorBefore:
		f.pause(r)
		f.systemError(a).Write(w)
	case Refuse:
		f.pause(r)
		a.Refuse(f.Answer).Write(w)
	default:
		return false
	}
	return true
}

func (f *Fault) systemError(a Answers) Reply {
	if f.Answer == "http_502" {
		return Reply{
			Status: http.StatusBadGateway,
			Header: http.Header{"Content-Type": {"text/html"}},
			Body:   []byte("<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"),
		}
	}
	return a.SystemError(f.Answer)
}

// pause waits for the delay, or until the caller gives up.
func (f *Fault) pause(r *http.Request) {
	if f.Delay == 0 {
		return
	}
	timer := time.NewTimer(f.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

// garbage keeps the status and breaks off in the middle of the body.
func garbage(reply Reply) Reply {
	half := append([]byte(nil), reply.Body[:len(reply.Body)/2]...)
	return Reply{Status: filled(reply.Status), Header: reply.Header.Clone(), Body: append(half, "\x00<garbage>"...)}
}

// filled is the status of an answer that had no body and now has one.
func filled(status int) int {
	if status == http.StatusNoContent {
		return http.StatusOK
	}
	return status
}

// reset ends the connection so that the caller sees "connection reset" and no answer.
func reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}

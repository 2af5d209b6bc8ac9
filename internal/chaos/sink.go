package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/suanpan/suanpan/client"
)

// sink receives webhooks, checks their signatures and remembers every event.
type sink struct {
	port   int // behind the proxy
	server *http.Server

	mu     sync.Mutex
	secret string
	seen   map[string]received
	times  int
	forged int
}

// received is an event as it came.
type received struct {
	kind, object string
	times        int
	// differs: a repetition was not the same message.
	differs bool
	body    string
}

func openSink(port int) (*sink, error) {
	listener, err := net.Listen("tcp", local(port))
	if err != nil {
		return nil, err
	}
	s := &sink{port: port, seen: map[string]received{}}
	s.server = &http.Server{Handler: http.HandlerFunc(s.receive), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.server.Serve(listener) }() // ends with close
	return s, nil
}

func (s *sink) close() { _ = s.server.Close() }

// trust sets the endpoint's signing secret.
func (s *sink) trust(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret = secret
}

func (s *sink) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, "incomplete", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var event client.Event
	if client.VerifyWebhook(s.secret, r.Header, body, time.Now()) != nil || json.Unmarshal(body, &event) != nil ||
		event.ID != r.Header.Get("webhook-id") {
		s.forged++
		http.Error(w, "the signature does not verify", http.StatusUnauthorized)
		return
	}
	known, again := s.seen[event.ID]
	known.differs = known.differs || again && known.body != string(body)
	known.kind, known.object, known.body = string(event.Type), event.ObjectID, string(body)
	known.times++
	s.times++
	s.seen[event.ID] = known
	w.WriteHeader(http.StatusNoContent)
}

// all returns what came by event id, how many messages, and how many not genuine.
func (s *sink) all() (events map[string]received, messages, forged int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	events = map[string]received{}
	for id, e := range s.seen {
		events[id] = e
	}
	return events, s.times, s.forged
}

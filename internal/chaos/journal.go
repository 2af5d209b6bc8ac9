package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// record is one line of the client's journal. What a client was told is decided
// by this file and by nothing in memory.
type record struct {
	At   time.Time `json:"at"`
	What string    `json:"what"` // ask, try, answer, payer
	Key  string    `json:"key"`
	// Of an ask: what was asked for. Reference is the tenant's own number.
	Operation string `json:"operation,omitempty"`
	Reference string `json:"reference,omitempty"`
	Of        string `json:"of,omitempty"` // the payment that a refund is of
	Fen       int64  `json:"fen,omitempty"`
	// Of a try: the instance, and how often the request was sent before.
	Instance int `json:"instance,omitempty"`
	Retry    int `json:"retry,omitempty"`
	// Of an answer: the id of what was made, or the code of the refusal.
	ID      string `json:"id,omitempty"`
	Status  string `json:"status,omitempty"`
	Refused string `json:"refused,omitempty"`
	// Of a payer: the provider's number and what the page said.
	Number string `json:"number,omitempty"`
	Act    string `json:"act,omitempty"`
}

// journal appends records and returns only when the disk has them; writers that
// come together share a flush.
type journal struct {
	path string
	mu   sync.Mutex
	file *os.File
	next *flush
}

// flush is a batch of lines that reach the disk together.
type flush struct {
	lines []byte
	done  chan struct{}
	err   error
}

func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &journal{path: path, file: file}, nil
}

// write returns once r is on the disk.
func (j *journal) write(r record) error {
	r.At = time.Now()
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	j.mu.Lock()
	batch, first := j.next, j.next == nil
	if first {
		batch = &flush{done: make(chan struct{})}
		j.next = batch
	}
	batch.lines = append(append(batch.lines, line...), '\n')
	j.mu.Unlock()
	if first {
		go j.flush(batch)
	}
	<-batch.done
	return batch.err
}

func (j *journal) flush(batch *flush) {
	time.Sleep(time.Millisecond) // others join
	j.mu.Lock()
	j.next = nil
	_, err := j.file.Write(batch.lines)
	j.mu.Unlock()
	batch.err = errors.Join(err, j.file.Sync())
	close(batch.done)
}

// readJournal reads every record of the file.
func readJournal(path string) ([]record, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []record
	lines := bufio.NewReaderSize(file, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the journal %s: %w", path, err)
		}
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("the journal %s: %w", path, err)
		}
		all = append(all, r)
	}
}

package books

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Books holds the state of the sandbox and its journal. Safe for concurrent use.
type Books struct {
	mu       sync.RWMutex
	journal  *journal
	state    state
	realTime func() time.Time
	changed  chan struct{}
}

// Open replays the journal in dir, creating both if absent. realTime is the
// process's clock, time.Now outside tests.
func Open(dir string, realTime func() time.Time) (*Books, error) {
	b := &Books{state: newState(), realTime: realTime, changed: make(chan struct{}, 1)}
	j, err := openJournal(dir, func(record Record) error {
		if record.Seq != b.state.seq+1 {
			return fmt.Errorf("record %d follows %d: lines are missing", record.Seq, b.state.seq)
		}
		b.state.apply(record)
		return nil
	})
	if err != nil {
		return nil, err
	}
	b.journal = j
	return b, nil
}

// Close flushes and closes the journal. Nothing may be called afterwards.
func (b *Books) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.journal.close()
}

// RealNow is the process's clock: protocol time.
func (b *Books) RealNow() time.Time { return b.realTime() }

// Now is the business clock: real time plus the offset that /control/clock set.
func (b *Books) Now() time.Time {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.realTime().Add(b.state.offset)
}

// View runs fn on a consistent state. It returns only when everything fn can
// have seen is on the disk: an answer must not tell what a crash could undo.
func (b *Books) View(fn func(Reader) error) error {
	b.mu.RLock()
	err := fn(Reader{state: &b.state, now: b.realTime().Add(b.state.offset)})
	seen := b.journal.written.Load()
	b.mu.RUnlock()
	if flushed := b.journal.flush(seen); flushed != nil {
		return flushed
	}
	return err
}

// Update runs fn and records what it put, all or nothing, as one journal line
// of the given kind. If fn returns an error nothing is recorded and Update
// returns that error. It returns only when the line is on the disk. An fn that
// puts nothing writes nothing.
func (b *Books) Update(kind string, fn func(*Tx) error) error {
	seen, err := b.write(kind, fn)
	if flushed := b.journal.flush(seen); flushed != nil {
		return flushed
	}
	return err
}

func (b *Books) write(kind string, fn func(*Tx) error) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	real := b.realTime()
	tx := &Tx{
		Reader:  Reader{state: &b.state, now: real.Add(b.state.offset)},
		record:  Record{Seq: b.state.seq + 1, Kind: kind, RealTime: real},
		pending: map[accountKey]int64{},
	}
	if err := fn(tx); err != nil {
		return b.journal.written.Load(), err
	}
	if !tx.record.empty() {
		if err := b.journal.append(tx.record); err != nil {
			return b.journal.written.Load(), err
		}
		b.state.apply(tx.record)
		select {
		case b.changed <- struct{}{}:
		default:
		}
	}
	return b.journal.written.Load(), nil
}

// Changed receives after records were written; several may share one message.
// It is meant for one receiver, which looks for work that is due.
func (b *Books) Changed() <-chan struct{} { return b.changed }

// WriteJournal copies the raw journal, as far as it is on the disk, to w.
func (b *Books) WriteJournal(w io.Writer) error {
	upTo := b.journal.written.Load()
	if err := b.journal.flush(upTo); err != nil {
		return err
	}
	file, err := os.Open(b.journal.file.Name())
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = io.CopyN(w, file, upTo)
	return err
}

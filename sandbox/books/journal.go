package books

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
)

// journalName is the file inside the data directory.
const journalName = "journal.jsonl"

// journal appends lines to a file and knows up to which byte the disk has them.
type journal struct {
	file *os.File
	// size is the length of the file's complete lines; guarded by the books' lock.
	size    int64
	written atomic.Int64
	syncing sync.Mutex
	synced  int64
	broken  atomic.Pointer[error]
}

// openJournal opens the journal in dir, hands every complete record to apply
// and cuts off a torn last line. A broken line that is not the last one is an
// error: the file was damaged, not interrupted.
func openJournal(dir string, apply func(Record) error) (*journal, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	path := filepath.Join(dir, journalName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s is in use by another sandbox: give this one its own --data", path)
	}
	size, err := replay(file, apply)
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := file.Truncate(size); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("cut the torn end of %s: %w", path, err)
	}
	if _, err := file.Seek(size, io.SeekStart); err != nil {
		_ = file.Close()
		return nil, err
	}
	if err := errors.Join(file.Sync(), syncDirectory(dir)); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("flush %s: %w", path, err)
	}
	j := &journal{file: file, size: size, synced: size}
	j.written.Store(size)
	return j, nil
}

// replay reads complete lines and returns the length of the good part.
func replay(file io.Reader, apply func(Record) error) (int64, error) {
	reader := bufio.NewReaderSize(file, 1<<16)
	var good int64
	for line := 1; ; line++ {
		text, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return good, nil
		}
		if err != nil {
			return 0, err
		}
		var record Record
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&record); err != nil {
			if _, next := reader.Peek(1); errors.Is(next, io.EOF) {
				return good, nil
			}
			return 0, fmt.Errorf("line %d is damaged: %w", line, err)
		}
		if err := apply(record); err != nil {
			return 0, fmt.Errorf("line %d: %w", line, err)
		}
		good += int64(len(text))
	}
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}

// append writes one record as a line. The caller holds the books' lock. After
// a failed write the half line is cut off, so that the file ends where the
// state in memory ends; where even that fails the journal takes no more.
func (j *journal) append(record Record) error {
	if broken := j.broken.Load(); broken != nil {
		return *broken
	}
	line, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	line = append(line, '\n')
	if _, err := j.file.Write(line); err != nil {
		if undo := j.rewind(); undo != nil {
			return j.breakWith(fmt.Errorf("journal: %w", errors.Join(err, undo)))
		}
		return fmt.Errorf("journal: %w", err)
	}
	j.size += int64(len(line))
	j.written.Store(j.size)
	return nil
}

func (j *journal) rewind() error {
	if err := j.file.Truncate(j.size); err != nil {
		return err
	}
	_, err := j.file.Seek(j.size, io.SeekStart)
	return err
}

// flush returns once the disk has everything up to upTo. Callers that wait
// meanwhile share the next flush, so many writers cost few of them.
func (j *journal) flush(upTo int64) error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if broken := j.broken.Load(); broken != nil {
		return *broken
	}
	if j.synced >= upTo {
		return nil
	}
	target := j.written.Load()
	if err := j.file.Sync(); err != nil {
		// What the disk holds is unknown from here on: answer nothing more.
		return j.breakWith(fmt.Errorf("flush journal: %w", err))
	}
	j.synced = target
	return nil
}

func (j *journal) breakWith(err error) error {
	j.broken.CompareAndSwap(nil, &err)
	return *j.broken.Load()
}

func (j *journal) close() error {
	return errors.Join(j.flush(j.written.Load()), j.file.Close())
}

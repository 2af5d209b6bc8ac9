package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// moved is what one number moved at a provider: fen, positive when money came in.
type moved struct {
	count int
	fen   int64
}

// movementKey names a movement: a kind and the number it is about.
type movementKey struct{ kind, number string }

// oracle is what the sandbox's own file says: the truth about money.
type oracle struct {
	movements map[movementKey]moved
	// orders are the states by number.
	orders map[string]string
}

// readOracle reads the file of the sandbox from its first line to its last.
func readOracle(path string) (*oracle, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	o := &oracle{movements: map[movementKey]moved{}, orders: map[string]string{}}
	lines := bufio.NewReaderSize(file, 1<<16)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return o, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the sandbox's file, line %d: %w", n, err)
		}
		if err := o.take(line); err != nil {
			return nil, fmt.Errorf("the sandbox's file, line %d: %w", n, err)
		}
	}
}

func (o *oracle) take(line []byte) error {
	var r struct {
		Orders    []struct{ Number, State string }
		Movements []struct {
			Kind   string `json:"kind"`
			Number string `json:"number"`
			Amount int64  `json:"amount"`
		}
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return err
	}
	for _, order := range r.Orders {
		o.orders[order.Number] = order.State
	}
	for _, m := range r.Movements {
		if m.Kind == "top_up" {
			continue // ours, before the run
		}
		key := movementKey{m.Kind, m.Number}
		known := o.movements[key]
		o.movements[key] = moved{known.count + 1, known.fen + m.Amount}
	}
	return nil
}

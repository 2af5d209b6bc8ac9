package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// scene is a small run in which everything agrees.
type scene struct {
	told    []record
	objects []row
	late    []lateReceipt
	truth   *oracle
}

func agreeing() scene {
	ask := func(operation, key string, fen int64, id string) []record {
		return []record{{What: "ask", Operation: operation, Key: key, Reference: key, Fen: fen},
			{What: "answer", Key: key, ID: id}}
	}
	s := scene{truth: &oracle{movements: map[movementKey]moved{
		{"payment", "N1"}: {1, 1000}, {"payment_fee", "N1"}: {1, -6}, {"refund", "R1"}: {1, -300}, {"refund_fee", "R1"}: {1, 2},
		{"transfer", "W1"}: {1, -100}, {"payment", "N2"}: {1, 500}, {"payment_fee", "N2"}: {1, -3},
		{"refund", "R2"}: {1, -500}, {"refund_fee", "R2"}: {1, 3}}}}
	s.told = append(s.told, ask("createPayment", "p1", 1000, "pay_1")...)
	s.told = append(s.told, ask("createPayment", "p2", 500, "pay_2")...)
	s.told = append(s.told, ask("createRefund", "r1", 300, "rfd_1")...)
	s.told = append(s.told, ask("createWithdrawal", "w1", 100, "wdr_1")...)
	s.told = append(s.told, record{What: "ask", Operation: "createRefund", Key: "r9", Reference: "r9", Fen: 7},
		record{What: "answer", Key: "r9", Refused: "422 refund_not_allowed"},
		record{What: "payer", Act: "paid", Number: "N1", Fen: 1000}, record{What: "payer", Act: "pays", Number: "N3", Fen: 1})
	s.told = append(s.told, ask("createTransfer", "t1", 30, "trf_1")...)
	s.objects = []row{
		{kind: "createTransfer", id: "trf_1", reference: "t1", status: "succeeded", fen: 30},
		{kind: "createPayment", id: "pay_1", reference: "p1", status: "succeeded", fen: 1000, number: "N1", fee: 6},
		{kind: "createPayment", id: "pay_2", reference: "p2", status: "closed", fen: 500, number: "N2"},
		{kind: "createRefund", id: "rfd_1", reference: "r1", status: "succeeded", fen: 300, number: "R1", fee: 2},
		{kind: "createRefund", id: "rfd_2", reference: "rfd_2", status: "succeeded", fen: 500, number: "R2", fee: 3, ours: true},
		{kind: "createWithdrawal", id: "wdr_1", reference: "w1", status: "succeeded", fen: 100, number: "W1"},
	}
	s.late = []lateReceipt{{"N2", 500, 3}}
	return s
}

func (s scene) differences() []string {
	found := joinJournal(s.told, s.objects)
	found = append(found, joinOracle(s.objects, s.late, s.truth)...)
	return append(found, joinPayers(s.told, s.truth)...)
}

func TestTheJoinIsEmptyWhenAllAgree(t *testing.T) {
	t.Parallel()
	require.Empty(t, agreeing().differences())
}

func TestTheJoinFindsWhatIsLostDoubledOrChanged(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*scene){
		"is lost":                     func(s *scene) { s.objects = s.objects[:5] },
		"nobody asked for it":         func(s *scene) { s.told = s.told[2:] },
		"are one request":             func(s *scene) { s.objects = append(s.objects, s.objects[1]) },
		"was asked for with 1000 fen": func(s *scene) { s.objects[1].fen = 1001 },
		"was answered with pay_1":     func(s *scene) { s.objects[1].id = "pay_9" },
		"was refused":                 func(s *scene) { s.objects[3].reference = "r9" },
		"was never answered": func(s *scene) {
			s.told = append(s.told, record{What: "ask", Operation: "createPayment", Key: "p7", Fen: 1})
		},
		"2 of 1999 fen": func(s *scene) {
			s.objects = append(s.objects, row{kind: "createPayment", status: "succeeded", fen: 999, number: "N1"})
		},
		"the provider 2 of 2000 fen":    func(s *scene) { s.truth.movements[movementKey{"payment", "N1"}] = moved{2, 2000} },
		"the provider 0 of 0 fen":       func(s *scene) { delete(s.truth.movements, movementKey{"refund", "R1"}) },
		"the books have none":           func(s *scene) { s.truth.movements[movementKey{"transfer", "W2"}] = moved{1, -100} },
		"the books have 1 of -7 fen":    func(s *scene) { s.objects[1].fee = 7 },
		"the provider moved 500":        func(s *scene) { s.late = nil },
		"a payer paid 1000 fen for N1":  func(s *scene) { delete(s.truth.movements, movementKey{"payment", "N1"}) },
		"the provider moved -100 fen":   func(s *scene) { s.objects[5].status = "failed" },
		"the provider moved -300 fen":   func(s *scene) { s.objects[3].status = "processing" },
		"the books have 1 of 1000 fen,": func(s *scene) { s.truth.movements[movementKey{"payment", "N1"}] = moved{1, 999} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := agreeing()
			spoil(&s)
			require.Contains(t, fmt.Sprint(s.differences()), name)
		})
	}
}

func TestTheOracleReadsTheSandboxsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "journal.jsonl")
	require.NoError(t, os.WriteFile(file, []byte(
		`{"seq":1,"movements":[{"kind":"top_up","number":"TOPUP1","amount":9}]}`+"\n"+
			`{"seq":2,"orders":[{"number":"N1","state":"paid"}],"movements":[{"kind":"payment","number":"N1","amount":100},`+
			`{"kind":"payment_fee","number":"N1","amount":-1}]}`+"\n"+
			`{"seq":3,"movements":[{"kind":"payment","number":"N1","amount":100}]}`+"\n"), 0o600))
	o, err := readOracle(file)
	require.NoError(t, err)
	require.Equal(t, map[movementKey]moved{{"payment", "N1"}: {2, 200}, {"payment_fee", "N1"}: {1, -1}}, o.movements)
	require.Equal(t, "paid", o.orders["N1"])

	require.NoError(t, os.WriteFile(file, []byte(`{"seq":`), 0o600))
	_, err = readOracle(file)
	require.Error(t, err, "a torn file is no truth")
}

func TestTheJournalKeepsEveryRecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j, err := openJournal(path)
	require.NoError(t, err)
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 25 {
				if err := j.write(record{What: "ask", Key: fmt.Sprintf("%d-%d", w, i), Fen: int64(i)}); err != nil {
					t.Error(err)
				}
				// What write returned for is in the file, whoever else writes.
				kept, err := readJournal(path)
				if err != nil || len(kept) == 0 {
					t.Error("a record is not in the file", err)
				}
			}
		})
	}
	writers.Wait()
	kept, err := readJournal(path)
	require.NoError(t, err)
	keys := map[string]bool{}
	for _, r := range kept {
		require.False(t, r.At.IsZero())
		keys[r.Key] = true
	}
	require.Len(t, keys, 200)
	_, err = openJournal(path)
	require.Error(t, err, "a journal is of one run")
}

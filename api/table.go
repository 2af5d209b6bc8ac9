package api

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/xuri/excelize/v2"

	"github.com/suanpan/suanpan/money"
)

// A table is an answer of many lines as a file for a spreadsheet. It is written
// while it is read: no table is ever whole in memory.
type table interface {
	// row writes texts and amounts, in order.
	row(cells ...any) error
	// end completes the file.
	end() error
}

// tableFormat is how a caller wants a list.
type tableFormat string

const (
	formatJSON tableFormat = "json"
	formatCSV  tableFormat = "csv"
	formatXLSX tableFormat = "xlsx"
	// formatJSONL is one JSON object a line.
	formatJSONL tableFormat = "jsonl"
)

const (
	mediaCSV   = "text/csv"
	mediaJSONL = "application/jsonl"
	mediaXLSX  = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
)

// formatOf takes the parameter, or else the first type in Accept that is one of ours.
func formatOf(ctx context.Context, parameter string) tableFormat {
	if parameter != "" {
		return tableFormat(parameter)
	}
	if g, ok := ctx.(*gin.Context); ok {
		for accepted := range strings.SplitSeq(g.GetHeader("Accept"), ",") {
			media, _, err := mime.ParseMediaType(accepted)
			switch {
			case err != nil:
			case media == mediaCSV:
				return formatCSV
			case media == mediaXLSX:
				return formatXLSX
			case media == mediaJSONL:
				return formatJSONL
			case media == "application/json" || media == "*/*":
				return formatJSON
			}
		}
	}
	return formatJSON
}

// tableFile answers with a table that fill writes. Nothing is sent before fill
// has written its first row; after that an error can only cut the answer off.
type tableFile struct {
	format tableFormat
	name   string
	fill   func(t table) error
}

func (f tableFile) write(w http.ResponseWriter) error {
	out := &tableOutput{w: w, file: f}
	var t table
	switch f.format {
	case formatXLSX:
		t = newXLSXTable(out)
	case formatJSONL:
		t = &jsonlTable{w: out}
	default:
		t = &csvTable{w: csv.NewWriter(out)}
	}
	err := f.fill(t)
	if err == nil {
		err = t.end()
	}
	if err != nil && out.began {
		panic(http.ErrAbortHandler) // the caller must see that the file is not whole
	}
	return err
}

// tableOutput sends the headers with the first bytes.
type tableOutput struct {
	w     http.ResponseWriter
	file  tableFile
	began bool
}

func (o *tableOutput) Write(b []byte) (int, error) {
	if !o.began {
		o.began = true
		media := mediaCSV + "; charset=utf-8; header=present"
		switch o.file.format {
		case formatXLSX:
			media = mediaXLSX
		case formatJSONL:
			media = mediaJSONL
		}
		o.w.Header().Set("Content-Type", media)
		o.w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.%s"`, o.file.name, o.file.format))
		o.w.WriteHeader(http.StatusOK)
	}
	return o.w.Write(b)
}

type csvTable struct{ w *csv.Writer }

func (t *csvTable) row(cells ...any) error {
	record := make([]string, len(cells))
	for i, cell := range cells {
		switch cell := cell.(type) {
		case money.Amount:
			record[i] = cell.Text()
		case json.RawMessage:
			record[i] = string(cell)
		default:
			record[i] = withoutFormula(fmt.Sprint(cell))
		}
	}
	return t.w.Write(record)
}

func (t *csvTable) end() error {
	t.w.Flush()
	return t.w.Error()
}

// jsonlTable writes each row as an object, by the names in the first one.
type jsonlTable struct {
	w     io.Writer
	names []string
}

func (t *jsonlTable) row(cells ...any) error {
	if t.names == nil {
		for _, name := range cells {
			t.names = append(t.names, fmt.Sprint(name))
		}
		_, err := t.w.Write(nil) // a list of nothing is an answer, too
		return err
	}
	object := make(map[string]any, len(cells))
	for i, cell := range cells {
		switch cell := cell.(type) {
		case money.Amount:
			object[t.names[i]] = cell.Text()
		default:
			object[t.names[i]] = cell
		}
	}
	return json.NewEncoder(t.w).Encode(object)
}

func (t *jsonlTable) end() error { return nil }

// withoutFormula keeps a spreadsheet from computing what somebody else wrote: a
// text that could begin a formula gets an apostrophe.
func withoutFormula(text string) string {
	if text != "" && strings.ContainsAny(text[:1], "=+-@\t\r\n|%") {
		return "'" + text
	}
	return text
}

// xlsxRows is how many rows a sheet holds; more go on to the next sheet.
const xlsxRows = 1_000_000

type xlsxTable struct {
	out    io.Writer
	file   *excelize.File
	stream *excelize.StreamWriter
	sheets int
	rows   int
	head   []any
	style  int
}

func newXLSXTable(out io.Writer) *xlsxTable { return &xlsxTable{out: out, file: excelize.NewFile()} }

// exactInFloat is the largest count of minor units that a spreadsheet's number,
// of 15 digits, shows exactly.
const exactInFloat = 1_000_000_000_000_000 - 1

func (t *xlsxTable) row(cells ...any) error {
	if t.head == nil {
		t.head = cells
		decimals := "0.00"
		style, err := t.file.NewStyle(&excelize.Style{CustomNumFmt: &decimals})
		if err != nil {
			return err
		}
		t.style = style
	}
	if t.stream == nil || t.rows == xlsxRows {
		if err := t.nextSheet(); err != nil {
			return err
		}
		if t.sheets > 1 {
			if err := t.write(t.head); err != nil {
				return err
			}
		}
	}
	return t.write(cells)
}

func (t *xlsxTable) write(cells []any) error {
	values := make([]any, len(cells))
	for i, cell := range cells {
		if raw, isJSON := cell.(json.RawMessage); isJSON {
			cell = string(raw)
		}
		amount, ok := cell.(money.Amount)
		switch {
		case !ok: // a text stays a text, whatever it begins with
			values[i] = fmt.Sprint(cell)
		case amount.Minor > exactInFloat || amount.Minor < -exactInFloat || amount.Currency != money.CNY:
			values[i] = amount.Text()
		default:
			values[i] = excelize.Cell{StyleID: t.style, Value: float64(amount.Minor) / 100}
		}
	}
	t.rows++
	at, err := excelize.CoordinatesToCellName(1, t.rows)
	if err != nil {
		return err
	}
	return t.stream.SetRow(at, values)
}

func (t *xlsxTable) nextSheet() error {
	if t.stream != nil {
		if err := t.stream.Flush(); err != nil {
			return err
		}
	}
	t.sheets++
	t.rows = 0
	name := fmt.Sprintf("Sheet%d", t.sheets)
	if t.sheets > 1 {
		if _, err := t.file.NewSheet(name); err != nil {
			return err
		}
	}
	stream, err := t.file.NewStreamWriter(name)
	t.stream = stream
	return err
}

func (t *xlsxTable) end() error {
	if t.stream != nil {
		if err := t.stream.Flush(); err != nil {
			return err
		}
	}
	if err := t.file.Write(t.out); err != nil {
		return err
	}
	return t.file.Close()
}

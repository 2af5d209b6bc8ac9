package config

import (
	"encoding"
	"fmt"
	"reflect"
	"sort"
	"strings"
)

// Variable describes one setting, for the generated documentation.
type Variable struct {
	Name     string
	Default  string
	Required bool
	Doc      string
	field    string
}

// Group is the settings one kind of process adds.
type Group struct {
	Title     string
	Variables []Variable
}

// Groups lists every setting once, in the order of the documentation.
func Groups() []Group {
	return []Group{
		{"Every process", variablesOf(reflect.TypeFor[Core]())},
		{"API, worker, `starter secrets`, `redrive`, `replay` and `codec`: secrets", variablesOf(reflect.TypeFor[Secrets]())},
		{"API and worker: providers", ownVariablesOf(reflect.TypeFor[Channels]())},
		{"API and worker: the guard around providers", variablesOf(reflect.TypeFor[Guards]())},
		{"API and worker: metrics", variablesOf(reflect.TypeFor[Metrics]())},
		{"API and worker: traces", variablesOf(reflect.TypeFor[Traces]())},
		{"API, worker and codec: TLS of their addresses", variablesOf(reflect.TypeFor[Listening]())},
		{"API and worker: webhooks", variablesOf(reflect.TypeFor[Webhooks]())},
		{"API: whom it serves, and how often", variablesOf(reflect.TypeFor[Serving]())},
		{"API (`starter serve`)", ownVariablesOf(reflect.TypeFor[API]())},
		{"Worker (`worker`)", ownVariablesOf(reflect.TypeFor[Worker]())},
		{"Codec endpoint (`starter codec`)", ownVariablesOf(reflect.TypeFor[Codec]())},
		{"Development stack (`starter dev`)", variablesOf(reflect.TypeFor[Stack]())},
		{"Tests", variablesOf(reflect.TypeFor[Tests]())},
	}
}

// Variables lists the settings of all groups.
func Variables() []Variable {
	var all []Variable
	for _, group := range Groups() {
		all = append(all, group.Variables...)
	}
	return all
}

// Environ writes a configuration as the variables it would be read from;
// settings that hold their zero value are left out. It is how one process
// configures another.
func Environ(c any) []string {
	var out []string
	walk(reflect.ValueOf(c), true, func(field reflect.StructField, value reflect.Value) {
		if !value.IsZero() {
			out = append(out, variableName(field)+"="+text(value))
		}
	})
	sort.Strings(out)
	return out
}

func text(v reflect.Value) string {
	if v.Kind() == reflect.Slice {
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = text(v.Index(i))
		}
		return strings.Join(parts, ",")
	}
	if marshaler, ok := v.Interface().(encoding.TextMarshaler); ok {
		if content, err := marshaler.MarshalText(); err == nil {
			return string(content)
		}
	}
	return fmt.Sprint(v.Interface())
}

func variablesOf(t reflect.Type) []Variable    { return describe(t, true) }
func ownVariablesOf(t reflect.Type) []Variable { return describe(t, false) }

func describe(t reflect.Type, embedded bool) []Variable {
	var all []Variable
	walk(reflect.New(t).Elem(), embedded, func(field reflect.StructField, _ reflect.Value) {
		all = append(all, Variable{
			Name:     variableName(field),
			Default:  field.Tag.Get("envDefault"),
			Required: strings.Contains(field.Tag.Get("env"), ",required"),
			Doc:      field.Tag.Get("doc"),
			field:    field.Name,
		})
	})
	return all
}

// walk visits the fields that are variables, those of embedded structs too if asked.
func walk(v reflect.Value, embedded bool, visit func(reflect.StructField, reflect.Value)) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		switch {
		case field.Anonymous && embedded:
			walk(v.Field(i), true, visit)
		case !field.Anonymous:
			visit(field, v.Field(i))
		}
	}
}

func variableName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
	return Prefix + name
}

// refuseUnknown catches the misspelt variable that would otherwise be ignored.
func refuseUnknown(values map[string]string) error {
	known := map[string]bool{}
	for _, v := range Variables() {
		known[v.Name] = true
	}
	var unknown []string
	for name := range values {
		if !known[name] {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	sort.Strings(unknown)
	for i, name := range unknown {
		unknown[i] = fmt.Sprintf("%s is not a setting of Suanpan: did you mean %s?", name, nearest(name, known))
	}
	return fmt.Errorf("%s", strings.Join(unknown, "\n"))
}

func nearest(name string, known map[string]bool) string {
	best, least := "", -1
	for candidate := range known {
		d := distance(name, candidate)
		if least < 0 || d < least || (d == least && candidate < best) {
			best, least = candidate, d
		}
	}
	return best
}

// distance is the number of single-letter edits between two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

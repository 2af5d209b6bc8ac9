package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// ordered is an object of which the fields keep their order.
type ordered []pair

type pair struct {
	name  string
	value any
}

// MarshalJSON writes the fields in their order.
func (o ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := json.Marshal(p.value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", p.name, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// exampleOf makes a value of a schema: its example, or one of what it is made of.
func exampleOf(ref *openapi3.SchemaRef, depth int) any {
	schema := ref.Value
	switch {
	case schema.Example != nil:
		return schema.Example
	case len(schema.AllOf) == 1 && !schema.Nullable:
		return exampleOf(schema.AllOf[0], depth)
	case schema.Nullable || depth > 6:
		return nil
	case schema.Default != nil && schema.Default != "":
		return schema.Default
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	case schema.Items != nil:
		return []any{exampleOf(schema.Items, depth+1)}
	case schema.Type.Is("object"):
		return objectExample(schema, depth)
	}
	return plainExample(schema)
}

func objectExample(schema *openapi3.Schema, depth int) any {
	names := slices.Clone(schema.Required)
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(schema.Properties))
	}
	object := ordered{}
	for _, name := range names {
		if property := schema.Properties[name]; property != nil {
			object = append(object, pair{name, exampleOf(property, depth+1)})
		}
	}
	return object
}

func plainExample(schema *openapi3.Schema) any {
	switch {
	case schema.Format == "date-time":
		return "2026-11-23T03:14:15Z"
	case schema.Type.Is("integer") && schema.Min != nil && *schema.Min > 0:
		return int64(*schema.Min)
	case schema.Type.Is("integer"):
		return 0
	case schema.Type.Is("boolean"):
		return true
	}
	return "…"
}

// bodyExample is the example that the contract gives for a body, or one made of its schema.
func bodyExample(media *openapi3.MediaType) any {
	if media.Example != nil {
		return media.Example
	}
	return exampleOf(media.Schema, 0)
}

// answerExample is the first success as JSON; empty when it has none.
func answerExample(op *openapi3.Operation) string {
	for _, status := range []string{"201", "202", "200"} {
		response := op.Responses.Value(status)
		if response == nil {
			continue
		}
		media := response.Value.Content.Get("application/json")
		if media == nil {
			continue
		}
		return indented(bodyExample(media))
	}
	return ""
}

func indented(value any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}

// examplePath puts ids into a path.
func examplePath(path string) string {
	return regexp.MustCompile(`\{([^}]+)\}`).ReplaceAllStringFunc(path, func(name string) string {
		return "$" + strings.ToUpper(strings.Trim(name, "{}"))
	})
}

func curl(method, path string, query []string, body any) string {
	var b strings.Builder
	address := "$API" + path
	if len(query) > 0 {
		address += "?" + strings.Join(query, "&")
	}
	b.WriteString("curl -sS ")
	if method != "GET" && (method != "POST" || body == nil) {
		b.WriteString("-X " + method + " ")
	}
	fmt.Fprintf(&b, `"%s" \`+"\n"+`  -H "Authorization: Bearer $KEY"`, address)
	if method == "POST" {
		b.WriteString(" \\\n  -H \"Idempotency-Key: $(uuidgen)\"")
	}
	if body != nil {
		b.WriteString(" \\\n  -H 'Content-Type: application/json' -d '" + strings.ReplaceAll(indented(body), "'", `'\''`) + "'")
	}
	return b.String()
}

// typeScript is the same as a call of the TypeScript client.
func typeScript(o operation, path string, query []string, body any) string {
	var arguments []string
	for _, name := range regexp.MustCompile(`\{([^}]+)\}`).FindAllStringSubmatch(path, -1) {
		arguments = append(arguments, camel(name[1]))
	}
	if body != nil {
		names := regexp.MustCompile(`(?m)^(\s*)"([A-Za-z_][A-Za-z0-9_]*)":`)
		arguments = append(arguments, names.ReplaceAllString(indented(body), "$1$2:"))
	}
	if len(query) > 0 {
		var pairs []string
		for _, parameter := range query {
			name, value, _ := strings.Cut(parameter, "=")
			pairs = append(pairs, name+": "+strconv.Quote(value))
		}
		arguments = append(arguments, "{ "+strings.Join(pairs, ", ")+" }")
	}
	call := "api." + o.ID + "(" + strings.Join(arguments, ", ") + ")"
	switch {
	case o.Pages:
		return "for await (const item of " + call + ") {\n  console.log(item);\n}"
	case o.Method == "DELETE":
		return "await " + call + ";"
	}
	return "const answer = await " + call + ";"
}

// camel turns payment_id into paymentId.
func camel(name string) string {
	parts := strings.Split(name, "_")
	for i := 1; i < len(parts); i++ {
		parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
	}
	return strings.Join(parts, "")
}

package reference

import (
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// model is one object of the contract.
type model struct {
	Name, Anchor, Type, Bounds string
	Description                template.HTML
	Fields                     []field
}

// field is one field, parameter or property.
type field struct {
	Name, Type, Anchor string
	Required           bool
	Description        template.HTML
	// Bounds are what a value must keep to, in words.
	Bounds string
	Fields []field
}

// deepest bounds how far fields of fields are shown in place; their objects are
// linked besides.
const deepest = 3

func modelOf(name string, ref *openapi3.SchemaRef) model {
	return model{Name: name, Anchor: anchorOf(name), Type: typeOf(ref.Value), Bounds: boundsOf(ref.Value),
		Description: prose(ref.Value.Description), Fields: fieldsOf(ref.Value, 0)}
}

// fieldsOf lists the properties, those that are required first, in their order.
func fieldsOf(schema *openapi3.Schema, depth int) []field {
	if schema.Items != nil && schema.Items.Ref == "" {
		schema = schema.Items.Value
	}
	if depth == deepest {
		return nil
	}
	var required, optional []field
	for _, name := range schema.Required {
		if property := schema.Properties[name]; property != nil {
			required = append(required, fieldOf(name, property, true, depth))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		if !slices.Contains(schema.Required, name) {
			optional = append(optional, fieldOf(name, schema.Properties[name], false, depth))
		}
	}
	return append(required, optional...)
}

func fieldOf(name string, ref *openapi3.SchemaRef, required bool, depth int) field {
	schema := ref.Value
	f := field{Name: name, Type: typeOf(schema), Required: required, Description: prose(schema.Description), Bounds: boundsOf(schema)}
	inner := ref
	if schema.Items != nil {
		inner = schema.Items
	}
	if len(schema.AllOf) == 1 { // a reference with words of its own
		inner = schema.AllOf[0]
		f.Type = typeOf(inner.Value)
	}
	if of := nameOf(inner); of != "" {
		f.Anchor = anchorOf(of)
		f.Type = strings.Replace(f.Type, typeOf(inner.Value), of, 1)
	}
	if inner.Value != nil && len(inner.Value.Properties) > 0 {
		f.Fields = fieldsOf(inner.Value, depth+1)
	}
	return f
}

func nameOf(ref *openapi3.SchemaRef) string {
	if ref == nil {
		return ""
	}
	return ref.Ref[strings.LastIndex(ref.Ref, "/")+1:]
}

func anchorOf(name string) string { return "object-" + name }

func typeOf(schema *openapi3.Schema) string {
	var text string
	switch {
	case schema.Items != nil:
		text = "array of " + typeOf(schema.Items.Value)
	case schema.Type != nil && len(schema.Type.Slice()) > 0:
		text = schema.Type.Slice()[0]
	case len(schema.AllOf) == 1:
		text = typeOf(schema.AllOf[0].Value)
	}
	if schema.Format != "" && schema.Format != "int64" {
		text += " (" + schema.Format + ")"
	}
	if schema.Nullable {
		text += " or null"
	}
	return text
}

// boundsOf puts what a value must keep to into words.
func boundsOf(s *openapi3.Schema) string {
	var parts []string
	say := func(format string, arguments ...any) { parts = append(parts, fmt.Sprintf(format, arguments...)) }
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum {
			if v != nil {
				values = append(values, fmt.Sprint(v))
			}
		}
		say("one of %s", strings.Join(values, ", "))
	}
	if s.Min != nil && s.Max != nil {
		say("%.0f to %.0f", *s.Min, *s.Max)
	} else if s.Min != nil {
		say("at least %.0f", *s.Min)
	}
	switch {
	case s.MaxLength != nil && s.MinLength > 0:
		say("%d to %d characters", s.MinLength, *s.MaxLength)
	case s.MaxLength != nil:
		say("at most %d characters", *s.MaxLength)
	}
	if s.MaxItems != nil {
		say("%d to %d items", s.MinItems, *s.MaxItems)
	}
	if s.Default != nil && s.Default != "" {
		say("default %v", s.Default)
	}
	if s.Example != nil {
		example, err := json.Marshal(s.Example)
		if err == nil {
			say("such as %s", strings.Trim(string(example), `"`))
		}
	}
	return strings.Join(parts, " · ")
}

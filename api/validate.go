package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/gin-gonic/gin"

	"github.com/suanpan/suanpan/core/fault"
)

// maxBody bounds a request body.
const maxBody = 64 << 10

// readBody takes the body in, bounded and once. The exact bytes are kept for the
// signature and the idempotency hash.
func (s *server) readBody(c *gin.Context) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		s.refuse(c, err)
		return
	case err != nil:
		c.Header("Connection", "close")
		s.refuse(c, &fault.Error{Kind: kindTimeout, Code: "body_incomplete", Detail: "The body did not arrive completely.", Cause: err})
		return
	}
	c.Set(keyBody, body)
	c.Request.Body = io.NopCloser(bytes.NewReader(body))
	c.Next()
}

// checkBody refuses a body that is not strict JSON or not expected.
func (s *server) checkBody(c *gin.Context) {
	op, _ := c.MustGet(keyOperation).(*operation)
	if err := bodyFault(op, c.Request.Header, bodyOf(c)); err != nil {
		s.refuse(c, err)
		return
	}
	c.Next()
}

// bodyOf is the body that readBody took in.
func bodyOf(c *gin.Context) []byte {
	body, _ := c.Get(keyBody)
	bytes, _ := body.([]byte)
	return bytes
}

func bodyFault(op *operation, h http.Header, body []byte) error {
	if len(h.Values("Content-Encoding")) > 0 {
		return fault.Invalid("Content-Encoding", "content_encoding_unsupported", "Send the body as it is, without Content-Encoding.")
	}
	if !op.hasBody {
		if len(body) > 0 {
			return fault.Invalid("", "body_unexpected", "This operation takes no body.")
		}
		return nil
	}
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if charset := params["charset"]; err != nil || len(h.Values("Content-Type")) != 1 || media != "application/json" ||
		(charset != "" && !strings.EqualFold(charset, "utf-8")) {
		return fault.Invalid("Content-Type", "content_type_unsupported", "Send the body as application/json in UTF-8.")
	}
	return checkJSON(body)
}

// validate holds the request against the contract.
func (s *server) validate(c *gin.Context) {
	op, _ := c.MustGet(keyOperation).(*operation)
	if err := checkQuery(op, c.Request.URL.RawQuery); err != nil {
		s.refuse(c, err)
		return
	}
	if n := len(c.Request.Header.Values("Idempotency-Key")); n > 1 {
		s.refuse(c, fault.Invalid("Idempotency-Key", "header_repeated", "This header occurs more than once; send it once."))
		return
	}
	path := map[string]string{}
	for _, p := range c.Params {
		path[p.Key] = p.Value
	}
	err := openapi3filter.ValidateRequest(c.Request.Context(), &openapi3filter.RequestValidationInput{
		Request:    c.Request,
		PathParams: path,
		Route:      &op.route,
		Options: &openapi3filter.Options{
			AuthenticationFunc:  openapi3filter.NoopAuthenticationFunc, // done before
			SkipSettingDefaults: true,                                  // handlers know them; the body stays as sent
		},
	})
	if err != nil {
		s.refuse(c, contractFault(err))
		return
	}
	c.Next()
}

// checkQuery refuses parameters that the contract does not know, that occur
// twice or that are not text.
func checkQuery(op *operation, raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return fault.Invalid("", "query_malformed", "The query is not correctly encoded.")
	}
	for name, values := range query {
		switch {
		case !op.query[name]:
			return fault.Invalid(printable(name), "parameter_unknown", "This operation has no such query parameter.")
		case len(values) > 1:
			return fault.Invalid(name, "parameter_repeated", "This parameter occurs more than once; send it once.")
		case values[0] == "":
			return fault.Invalid(name, "parameter_empty", "This parameter is empty; leave it out or give it a value.")
		case !utf8.ValidString(values[0]) || strings.ContainsRune(values[0], 0):
			return fault.Invalid(name, "characters_not_allowed", "This parameter is not text.")
		}
	}
	return nil
}

// contractFault turns the validator's error into a refusal that names the field.
// A malformed id in the path is answered like an id that does not exist.
func contractFault(err error) error {
	var reqErr *openapi3filter.RequestError
	if !errors.As(err, &reqErr) {
		return fault.Invalid("", "request_malformed", "The request breaks the contract.")
	}
	var schemaErr *openapi3.SchemaError
	hasSchema := errors.As(err, &schemaErr)
	if p := reqErr.Parameter; p != nil {
		if p.In == openapi3.ParameterInPath {
			return fault.NotFound()
		}
		if errors.Is(reqErr.Err, openapi3filter.ErrInvalidRequired) || errors.Is(reqErr.Err, openapi3filter.ErrInvalidEmptyValue) {
			return fault.Invalid(p.Name, "parameter_missing", "This "+p.In+" parameter is required.")
		}
		if hasSchema {
			return schemaFault(p.Name, schemaErr)
		}
		return fault.Invalid(p.Name, "parameter_malformed", "This "+p.In+" parameter is not of the type the contract wants.")
	}
	if hasSchema {
		return schemaFault(fieldPath(schemaErr.JSONPointer()), schemaErr)
	}
	return fault.Invalid("", "body_missing", "This operation needs a JSON body.")
}

// schemaFault words what a schema refused. The value itself is not repeated: it
// may be personal data.
func schemaFault(field string, e *openapi3.SchemaError) error {
	schema := e.Schema
	switch e.SchemaField {
	case "required":
		return fault.Invalid(field, "field_missing", "This field is required.")
	case "properties", "additionalProperties":
		return fault.Invalid(printable(unknownField(field, e)), "field_unknown", "The contract has no such field here; leave it out.")
	case "type":
		return fault.Invalid(field, "type_mismatch", "This must be of type "+strings.Join(schema.Type.Slice(), " or ")+".")
	case "nullable":
		return fault.Invalid(field, "type_mismatch", "This may not be null; leave it out or give it a value.")
	case "enum":
		return fault.Invalid(field, "value_unknown", "This must be one of "+options(schema)+".")
	case "pattern":
		return fault.Invalid(field, "format_mismatch", "This must match "+schema.Pattern+".")
	case "format":
		return fault.Invalid(field, "format_mismatch", "This must be a "+schema.Format+".")
	case "minimum", "maximum":
		return fault.Invalid(field, "out_of_range", "This must be "+bounds(schema)+".")
	case "minLength", "maxLength":
		return fault.Invalid(field, "length_out_of_range", "The length of this text is outside what the contract allows.")
	case "minItems", "maxItems":
		return fault.Invalid(field, "length_out_of_range", "The number of items is outside what the contract allows.")
	case "uniqueItems":
		return fault.Invalid(field, "items_repeated", "An item occurs twice; send it once.")
	}
	return fault.Invalid(field, "contract_mismatch", "This does not match the contract.")
}

// unknownField names the first field, by alphabet, that the schema does not know;
// the validator points at the object around it.
func unknownField(object string, e *openapi3.SchemaError) string {
	fields, ok := e.Value.(map[string]any)
	if !ok {
		return object
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if _, known := e.Schema.Properties[name]; !known {
			return strings.TrimPrefix(object+"."+name, ".")
		}
	}
	return object
}

func options(schema *openapi3.Schema) string {
	var list []string
	for _, v := range schema.Enum {
		list = append(list, fmt.Sprint(v))
	}
	return strings.Join(list, ", ")
}

func bounds(schema *openapi3.Schema) string {
	switch {
	case schema.Min != nil && schema.Max != nil:
		return fmt.Sprintf("from %.0f to %.0f", *schema.Min, *schema.Max)
	case schema.Min != nil:
		return fmt.Sprintf("at least %.0f", *schema.Min)
	}
	return fmt.Sprintf("at most %.0f", *schema.Max)
}

// fieldPath writes a JSON pointer the way requests are read: legs[0].basis_points.
func fieldPath(pointer []string) string {
	var b strings.Builder
	for _, part := range pointer {
		if _, err := strconv.Atoi(part); err == nil {
			b.WriteString("[" + part + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

// printable makes a name that the caller chose fit to be repeated.
func printable(name string) string {
	runes := []rune(strings.ToValidUTF8(name, ""))
	text := string(runes[:min(len(runes), 64)])
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}

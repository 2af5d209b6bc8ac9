package reference

import (
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// page is what the template shows.
type page struct {
	Title, Version string
	Intro          template.HTML
	CSS, JS        string
	Codes          []code
	Groups         []group
	Models         []model
}

// group is the operations of one tag.
type group struct {
	Name        string
	Description template.HTML
	Operations  []operation
}

type operation struct {
	ID, Method, Class, Path, Summary, Scope string
	Idempotent, Pages, Signed, Approval     bool
	Description                             template.HTML
	Parameters                              []field
	Body                                    *model
	Answers                                 []answer
	Curl, TypeScript, Example               string
}

type answer struct {
	Status      string
	Success     bool
	Description template.HTML
	Models      []link
	Codes       []code
}

type link struct{ Name, Anchor string }

// code is one error code: what x-errors of the contract says about it.
type code struct {
	Code, Anchor string
	Status       int
	Meaning      template.HTML
}

// pageOf reads the contract.
func pageOf(doc *openapi3.T) (*page, error) {
	p := &page{Title: doc.Info.Title, Version: doc.Info.Version, Intro: prose(doc.Info.Description)}
	codes, err := codesOf(doc)
	if err != nil {
		return nil, err
	}
	p.Codes = codes
	for _, tag := range doc.Tags {
		g := group{Name: tag.Name, Description: prose(tag.Description)}
		for _, path := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
			item := doc.Paths.Value(path)
			for _, method := range methods() {
				op := item.GetOperation(method)
				if op == nil || len(op.Tags) == 0 || op.Tags[0] != tag.Name {
					continue
				}
				g.Operations = append(g.Operations, operationOf(method, path, item, op, codes))
			}
		}
		p.Groups = append(p.Groups, g)
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Schemas)) {
		if !strings.HasSuffix(name, "Page") {
			p.Models = append(p.Models, modelOf(name, doc.Components.Schemas[name]))
		}
	}
	return p, nil
}

// methods are the methods in the order in which operations of a path are read.
func methods() []string {
	return []string{http.MethodPost, http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete}
}

// codesOf reads x-errors: a list of {code, status, meaning}.
func codesOf(doc *openapi3.T) ([]code, error) {
	text, err := json.Marshal(doc.Extensions["x-errors"])
	if err != nil {
		return nil, fmt.Errorf("openapi.yaml: x-errors: %w", err)
	}
	var list []struct {
		Code, Meaning string
		Status        int
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("openapi.yaml: x-errors: %w", err)
	}
	codes := make([]code, 0, len(list))
	for i, c := range list {
		if c.Code == "" || c.Status == 0 || c.Meaning == "" {
			return nil, fmt.Errorf("openapi.yaml: x-errors[%d] needs code, status and meaning", i)
		}
		codes = append(codes, code{Code: c.Code, Anchor: "code-" + c.Code, Status: c.Status, Meaning: line(c.Meaning)})
	}
	return codes, nil
}

func operationOf(method, path string, item *openapi3.PathItem, op *openapi3.Operation, codes []code) operation {
	o := operation{ID: op.OperationID, Method: method, Class: strings.ToLower(method), Path: path, Summary: op.Summary,
		Description: prose(op.Description)}
	o.Scope, _ = op.Extensions["x-scope"].(string)
	_, o.Signed = op.Extensions["x-signed"]
	_, o.Approval = op.Extensions["x-approval"]
	var query []string
	for _, ref := range slices.Concat(item.Parameters, op.Parameters) {
		parameter := ref.Value
		o.Idempotent = o.Idempotent || parameter.Name == "Idempotency-Key"
		o.Pages = o.Pages || parameter.Name == "cursor"
		if parameter.In == openapi3.ParameterInQuery && parameter.Required {
			query = append(query, parameter.Name+"="+fmt.Sprint(exampleOf(parameter.Schema, 0)))
		}
		f := fieldOf(parameter.Name, parameter.Schema, parameter.Required, 0)
		f.Description = prose(parameter.Description)
		f.Type = strings.TrimSpace(parameter.In + " · " + f.Type)
		o.Parameters = append(o.Parameters, f)
	}
	var body any
	if media := jsonOf(op.RequestBody); media != nil {
		m := modelOf(nameOf(media.Schema), media.Schema)
		o.Body = &m
		body = bodyExample(media)
	}
	o.Answers = answersOf(op, codes)
	o.Curl = curl(method, examplePath(path), query, body)
	o.TypeScript = typeScript(o, path, query, body)
	o.Example = answerExample(op)
	return o
}

func answersOf(op *openapi3.Operation, codes []code) []answer {
	refusals := strings.Fields(strings.Join(stringsOf(op.Extensions["x-codes"]), " "))
	var answers []answer
	for _, status := range slices.Sorted(maps.Keys(op.Responses.Map())) {
		response := op.Responses.Value(status).Value
		a := answer{Status: status, Success: strings.HasPrefix(status, "2"), Description: line(*response.Description)}
		for _, media := range slices.Sorted(maps.Keys(response.Content)) {
			if a.Success {
				a.Models = append(a.Models, linkTo(response.Content[media].Schema, media))
			}
		}
		for _, c := range codes {
			if strconv.Itoa(c.Status) == status && slices.Contains(refusals, c.Code) {
				a.Codes = append(a.Codes, c)
			}
		}
		answers = append(answers, a)
	}
	return answers
}

// linkTo names what an answer holds. A page has no place of its own: what it holds has.
func linkTo(ref *openapi3.SchemaRef, media string) link {
	name := nameOf(ref)
	if name == "" {
		return link{Name: media}
	}
	if data := ref.Value.Properties["data"]; strings.HasSuffix(name, "Page") && data != nil {
		item := nameOf(data.Value.Items)
		return link{Name: "page of " + item, Anchor: anchorOf(item)}
	}
	return link{Name: name, Anchor: anchorOf(name)}
}

func stringsOf(list any) []string {
	var found []string
	entries, _ := list.([]any)
	for _, entry := range entries {
		if text, ok := entry.(string); ok {
			found = append(found, text)
		}
	}
	return found
}

func jsonOf(body *openapi3.RequestBodyRef) *openapi3.MediaType {
	if body == nil {
		return nil
	}
	return body.Value.Content.Get("application/json")
}

package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsCommittedIsCurrent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		generate func([]byte) ([]byte, error)
		from, to string
	}{
		{goLists, "../../client/client.gen.go", "../../client/lists.gen.go"},
		{typeScriptOperations, "../../api/openapi.yaml", "../../client/typescript/src/operations.gen.ts"},
	} {
		from, err := os.ReadFile(c.from)
		require.NoError(t, err)
		want, err := c.generate(from)
		require.NoError(t, err)
		have, err := os.ReadFile(c.to)
		require.NoError(t, err)
		require.Equal(t, string(want), string(have), "stale: run make generate")
	}
}

const contract = `
openapi: 3.0.3
info: {title: t, version: "1"}
paths:
  /v1/things/{thing_id}/parts:
    parameters:
      - {name: thing_id, in: path, required: true, schema: {type: string}}
    post:
      operationId: addPart
      summary: Add a part
      description: Ends no comment by */.
      x-scope: "things:write"
      requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/AddPart'}}}}
      responses:
        '200': {description: d, content: {application/json: {schema: {$ref: '#/components/schemas/Preview'}}}}
        '201': {description: d, content: {application/json: {schema: {$ref: '#/components/schemas/Part'}}}}
    get:
      operationId: listParts
      summary: List parts
      parameters:
        - {name: cursor, in: query, schema: {type: string}}
        - {name: format, in: query, schema: {type: string}}
      responses:
        '200': {description: d, content: {application/json: {schema: {$ref: '#/components/schemas/PartPage'}}, text/csv: {schema: {type: string}}}}
    delete:
      operationId: dropParts
      summary: Drop all parts
      parameters:
        - {name: kind, in: query, required: true, schema: {type: string}}
      responses:
        '204': {description: d}
components:
  schemas:
    AddPart: {type: object}
    Part: {type: object}
    PartPage: {type: object}
    Preview: {type: object}
`

func TestEachKindOfOperationBecomesAMethod(t *testing.T) {
	t.Parallel()
	text, err := typeScriptOperations([]byte(contract))
	require.NoError(t, err)
	for _, method := range []string{
		"  addPart(thingId: string, body: AddPart, options?: PostOptions): Promise<Preview | Part> {\n" +
			"    return this.json<Preview | Part>({ method: \"POST\", path: `/v1/things/${segment(thingId)}/parts`, body }, options);\n",
		"  listParts(thingId: string, query: Omit<Query<\"listParts\">, \"format\"> = {}, options?: CallOptions): Listing<PartPage> {\n",
		"  listPartsFile(thingId: string, query: Query<\"listParts\"> & { format: \"csv\" | \"xlsx\" }, options?: CallOptions): Promise<Response> {\n",
		"  dropParts(thingId: string, query: Query<\"dropParts\">, options?: CallOptions): Promise<void> {\n",
		"   * Ends no comment by *\\/.\n",
		"import type {\n  AddPart,\n  Part,\n  PartPage,\n  Preview,\n} from",
	} {
		require.Contains(t, string(text), method)
	}
}

func TestAClientWithoutListsIsAMistake(t *testing.T) {
	t.Parallel()
	_, err := goLists([]byte("package client\n"))
	require.ErrorContains(t, err, "no lists")
}

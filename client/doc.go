// Package client is the Go client of the Suanpan API: models and operations
// generated from the contract (client.gen.go), and by hand what a contract
// cannot say: authentication, signatures
// (sign.go), safe repetition (client.go), errors (problem.go)
// and the check of received webhooks (webhook.go).
//
//	api, err := client.New(client.Config{BaseURLs: []string{"https://pay.example.com"}, Key: "sk_live_…"})
//	…
//	answer, err := api.CreatePaymentWithResponse(ctx,
//		&client.CreatePaymentParams{IdempotencyKey: client.NewIdempotencyKey()},
//		client.CreatePayment{…})
//	if client.IsCode(err, "reference_used") { … }
//	payment := answer.JSON201
//
// It imports nothing else of the platform, so it can be copied out.
package client

//go:generate go tool -modfile=../tools/dev/go.mod oapi-codegen -config oapi-codegen.yaml ../api/openapi.yaml

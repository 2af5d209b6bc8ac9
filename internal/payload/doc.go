// Package payload owns how what Temporal keeps for us is encrypted, and the endpoint
// at which an operator's Web UI has it decrypted.
//
// It knows no key: core/secret seals and opens. What is in a payload is not its
// concern, and nothing of it is logged.
package payload

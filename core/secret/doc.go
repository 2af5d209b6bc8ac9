// Package secret owns secrets at rest: how they are sealed, and under which key.
//
// Every tenant has data keys, one version after another; values are sealed with
// AES-256-GCM under the newest. A data key is stored only wrapped under a master
// key, which comes from a file or a key management service (KeyWrapper) and is
// never in the database. A sealed value is bound to its Place: copied to another
// tenant, field or row it does not open.
//
// The package may not know what the secrets are for, and no secret may appear in
// its errors. Value keeps a secret out of logs and of JSON.
package secret

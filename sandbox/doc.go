// Package sandbox owns the wiring of the sandbox: a program that stands in for
// Alipay's open gateway and WeChat Pay API v3 with real signatures, its own
// books and faults on request. README.md says how to use it.
//
// Nothing under sandbox/ may import a package of the platform: it is the other
// side, and judges it.
package sandbox

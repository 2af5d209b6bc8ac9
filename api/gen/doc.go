// Package gen is generated from api/openapi.yaml by `make generate`: the models
// of the contract, its routes and the strict server interface that package api
// implements. Nothing in it is written by hand but this file, and only api may
// import it.
package gen

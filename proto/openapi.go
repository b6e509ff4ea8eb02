// Package proto owns the contracts of the suite; in Go it gives only their description for people, the OpenAPI document.
//
// It must not hold anything that is not generated from the .proto files.
package proto

import _ "embed"

// OpenAPI is the OpenAPI 2.0 document of all REST calls, JSON, generated from the .proto files. It must not be changed.
//
//go:embed gen/openapi/creditpay.swagger.json
var OpenAPI []byte

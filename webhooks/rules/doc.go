// Package rules is what admission decides about our objects, as pure functions: no client, no clock, no identity but the one
// that is passed in. It states only what neither the schema nor a CEL rule of the CRD can state; those are checked by the API
// server itself, before the validating webhooks, and not again here.
//
// Every function that validates returns all errors it finds, each with its path and a sentence that says what to do.
package rules

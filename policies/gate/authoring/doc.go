// Package authoring is for the people who write policies: it checks, tests, explains, renders and replays a folder of them,
// without a cluster. What it says about a verdict is what package gate says; it adds why.
package authoring

// Package admission measures what admission costs a request: an API server with all webhooks and policies beside one that has only the
// kinds, asked in turn, so that whatever else the machine does slows both.
package admission

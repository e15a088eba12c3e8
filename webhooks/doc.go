// Package webhooks is admission for Kubernaut's own kinds: it completes and checks what is created, and stamps who asked for it.
// What it decides is in rules; here is what connects it to an API server. Requests for the kinds of others never come here.
package webhooks

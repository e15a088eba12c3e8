// Package aianalysis is the controller that has a provider find the cause of a problem and a workflow that repairs it. What a
// provider returns is not trusted: it is bounded and checked here before it is written, and the workflow made of it passes the
// same admission and the same gate as one typed by a stranger.
package aianalysis

// Package notification tells people outside of the cluster that a remediation needs them: it posts to an HTTP sink, such as an
// incoming webhook of Slack, until the sink has taken it. What is still to be told is in the status of the requests, so a restart
// forgets nothing; what was told may be told again. It has workers of its own: a sink that hangs holds up no remediation.
package notification

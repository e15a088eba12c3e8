// Package terminal is what all commands share that people run at a terminal: exit codes, colours, tables, output formats, the
// connection to a cluster, and errors that say the way out.
package terminal

// Package engine measures the engine on a local cluster with the manager as a process: how many workflows it carries out, what
// a workflow costs in writes, how fast it stops, and what it keeps in memory. `make bench` starts the cluster.
package engine

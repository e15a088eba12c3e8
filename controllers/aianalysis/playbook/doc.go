// Package playbook is the provider of analyses that is compiled in: it chooses the best Playbook and fills its parameters in.
//
// A playbook is written by a cluster admin, what it reads may be written by anyone: expressions are typed against the JSON form
// of the API types, cost a bounded number of steps and are cut off by time, and what they give is decoded strictly.
package playbook

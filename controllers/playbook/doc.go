// Package playbook is the controller that says whether a Playbook can be used: whether every expression compiles and
// type-checks and every literal decodes.
package playbook

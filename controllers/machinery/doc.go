// Package machinery is what all reconcilers share: transition tables, classes of outcome, the one status write, conditions,
// creation of children, and the classification of errors.
//
// A reconcile gathers a snapshot, decides with a pure function, records the status once, and only then acts; every act is
// idempotent by name or by precondition, so a crash between any two API calls is a reconcile that starts again.
package machinery

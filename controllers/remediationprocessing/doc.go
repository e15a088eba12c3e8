// Package remediationprocessing is the controller that reads the facts about a target, with an identity that can only read, and
// has them classified. It never reads Secrets, and never fails because of a fact that cannot be read: it says which.
package remediationprocessing

// Package safetypolicy brings SafetyPolicy objects into the safety gate, in every replica, and says in their status what became of
// them: whether they compile, whether their tests pass, and whether they are active.
package safetypolicy

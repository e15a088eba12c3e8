package machinery

import (
	"context"
	"fmt"
	"runtime/debug"

	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Panicked is the error of a panic in a goroutine that nobody else watches; where it happened is logged, for who repairs it. Call it with
// what recover returned, in the function that was deferred.
func Panicked(ctx context.Context, what string, problem any) error {
	err := fmt.Errorf("%s panicked: %v", what, problem)
	log.FromContext(ctx).Error(err, "a mistake in Kubernaut: report it with this stack", "stack", string(debug.Stack()))
	return err
}

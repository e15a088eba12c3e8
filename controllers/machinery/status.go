package machinery

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Record writes the status of after if it differs from before, once, with the resourceVersion that was read: a conflict
// means that the decision rested on an old snapshot and is made again. It says whether it wrote.
func Record(ctx context.Context, c client.StatusClient, before, after client.Object) (bool, error) {
	if equality.Semantic.DeepEqual(before, after) {
		return false, nil
	}
	if err := c.Status().Update(ctx, after); err != nil {
		return false, err
	}
	return true, nil
}

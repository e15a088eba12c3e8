package actions

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/fields"
)

// annotationRestartedAt is what kubectl rollout restart sets on a pod template: any change of the template is a rollout.
const annotationRestartedAt = "kubectl.kubernetes.io/restartedAt"

// restartDeployment replaces all pods of a Deployment, as kubectl rollout restart does.
type restartDeployment struct{ workload }

func (restartDeployment) Type() shared.ActionType { return shared.ActionRestartDeployment }

func (restartDeployment) Target(action *shared.Action) *shared.Target {
	if action.RestartDeployment == nil {
		return nil
	}
	return workloadTarget(shared.WorkloadDeployment, action.RestartDeployment.Namespace, action.RestartDeployment.Name)
}

func (restartDeployment) Writes() []Permission {
	return []Permission{patches(shared.WorkloadDeployment)}
}

func (r restartDeployment) WritesFor(*shared.Action) []Permission { return r.Writes() }

func (restartDeployment) Reads() []Permission { return []Permission{gets(shared.WorkloadDeployment)} }

func (restartDeployment) Repeatable(*shared.Action) bool { return true }

// Reversibility says that nothing is restored: taking the annotation back would only be another restart.
func (restartDeployment) Reversibility() Reversibility { return ReversibleHarmless }

func (restartDeployment) TypicalDuration() time.Duration { return 10 * time.Second }

func (r restartDeployment) Plan(_ context.Context, subject Subject) (Plan, error) {
	if subject.Action.RestartDeployment == nil {
		return Plan{}, missingParameters(r.Type(), "restartDeployment")
	}
	target := r.Target(subject.Action)
	if err := notPaused(subject.Live, target); err != nil {
		return Plan{}, err
	}
	if subject.Occasion.Workflow == "" {
		return Plan{}, errors.New("a restart is done for a step of a workflow, and none was named")
	}
	path := []string{"spec", "template", "metadata", "annotations"}
	annotations, _, err := unstructured.NestedStringMap(subject.Live.Object, path...)
	if err != nil {
		return Plan{}, fmt.Errorf("annotations of the template of %s: %w", target, err)
	}
	after := restartedAt(subject.Occasion)
	if len(annotations) == 0 {
		changes, err := fields.Diff(fields.Pointer(path...), nil, map[string]any{annotationRestartedAt: after})
		return Plan{Changes: changes}, err
	}
	var before any
	if value, found := annotations[annotationRestartedAt]; found {
		before = value
	}
	changes, err := fields.Diff(fields.Pointer(append(path, annotationRestartedAt)...), before, after)
	return Plan{Changes: changes}, err
}

// restartedAt is the value of the annotation: when the workflow was created, with a fraction of a second that tells its steps and
// other workflows of the same second apart. It is the same for every attempt of the step, so that one step restarts once, and it is
// known when the workflow is validated, so that what is approved is what is done.
func restartedAt(occasion Occasion) string {
	const second = uint64(time.Second)
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%t", occasion.Workflow, occasion.Step, occasion.Rollback))
	fraction := time.Duration(binary.BigEndian.Uint64(sum[:]) % second)
	return occasion.Created.UTC().Truncate(time.Second).Add(fraction).Format(time.RFC3339Nano)
}

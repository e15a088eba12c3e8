package actions

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/fields"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// increaseResources raises requests and limits of one container, init containers included, of a Deployment, StatefulSet or
// DaemonSet.
type increaseResources struct{ workload }

func (increaseResources) Type() shared.ActionType { return shared.ActionIncreaseResources }

func (increaseResources) Target(action *shared.Action) *shared.Target {
	if action.IncreaseResources == nil {
		return nil
	}
	return workloadTarget(kindOf(action.IncreaseResources.Kind), action.IncreaseResources.Namespace, action.IncreaseResources.Name)
}

func (increaseResources) Writes() []Permission { return patchesAny() }

func (i increaseResources) WritesFor(action *shared.Action) []Permission {
	if action.IncreaseResources == nil {
		return i.Writes()
	}
	return []Permission{patches(kindOf(action.IncreaseResources.Kind))}
}

func (increaseResources) Reads() []Permission { return getsAny() }

func (increaseResources) Repeatable(*shared.Action) bool { return true }

func (increaseResources) TypicalDuration() time.Duration { return 10 * time.Second }

// amount is one of the four parameters.
type amount struct {
	parameter, value string
	resource         corev1.ResourceName
	// limit says that it is a limit, and not a request.
	limit bool
}

func amounts(parameters *shared.IncreaseResources) []amount {
	return []amount{
		{parameter: "memoryRequest", value: parameters.MemoryRequest, resource: corev1.ResourceMemory},
		{parameter: "cpuRequest", value: parameters.CPURequest, resource: corev1.ResourceCPU},
		{parameter: "memoryLimit", value: parameters.MemoryLimit, resource: corev1.ResourceMemory, limit: true},
		{parameter: "cpuLimit", value: parameters.CPULimit, resource: corev1.ResourceCPU, limit: true},
	}
}

func (i increaseResources) Plan(_ context.Context, subject Subject) (Plan, error) {
	parameters := subject.Action.IncreaseResources
	if parameters == nil {
		return Plan{}, missingParameters(i.Type(), "increaseResources")
	}
	target := i.Target(subject.Action)
	found, err := findContainer(subject.Live, target, parameters.Container)
	if err != nil {
		return Plan{}, err
	}
	of := fmt.Sprintf("container %s of %s", parameters.Container, target)
	before, _, err := unstructured.NestedMap(found.content, "resources")
	if err != nil {
		return Plan{}, fmt.Errorf("resources of %s: %w", of, err)
	}
	var current corev1.ResourceRequirements
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(before, &current); err != nil {
		return Plan{}, fmt.Errorf("resources of %s: %w", of, err)
	}
	after, err := raise(before, &current, parameters, of)
	if err != nil {
		return Plan{}, machinery.Typed(shared.ErrorValidation, err)
	}
	path := found.path + fields.Pointer("resources")
	if before == nil {
		changes, err := fields.Diff(path, nil, after)
		return Plan{Changes: changes}, err
	}
	changes, err := fields.Diff(path, before, after)
	return Plan{Changes: changes}, err
}

// raise gives the resources with the wanted amounts, or says which of them would lower something or exceed its limit.
func raise(before map[string]any, current *corev1.ResourceRequirements, parameters *shared.IncreaseResources, of string) (map[string]any, error) {
	after := runtime.DeepCopyJSON(before)
	if after == nil {
		after = map[string]any{}
	}
	wanted := current.DeepCopy()
	for _, a := range amounts(parameters) {
		if a.value == "" {
			continue
		}
		quantity, err := resource.ParseQuantity(a.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is not a quantity such as 512Mi or 250m", a.parameter, a.value)
		}
		if err := a.raises(quantity, current, of); err != nil {
			return nil, err
		}
		list, set := a.list(wanted)
		if now, there := (*list)[a.resource]; there && now.Cmp(quantity) == 0 {
			continue // as it is written there: 1024Mi is 1Gi
		}
		if *list == nil {
			*list = corev1.ResourceList{}
		}
		(*list)[a.resource] = quantity
		if err := unstructured.SetNestedField(after, quantity.String(), set, string(a.resource)); err != nil {
			return nil, fmt.Errorf("resources of %s: %w", of, err)
		}
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceMemory, corev1.ResourceCPU} {
		request, limit := wanted.Requests[name], wanted.Limits[name]
		if _, limited := wanted.Limits[name]; limited && request.Cmp(limit) > 0 {
			return nil, fmt.Errorf("%sRequest: %s would have a request of %s above its limit of %s: set %sLimit too", name, of, &request, &limit, name)
		}
	}
	return after, nil
}

func (a amount) list(of *corev1.ResourceRequirements) (list *corev1.ResourceList, name string) {
	if a.limit {
		return &of.Limits, "limits"
	}
	return &of.Requests, "requests"
}

// raises refuses an amount below the one that applies now. A container without a limit may use everything; one without a request
// is promised its limit, if it has one.
func (a amount) raises(quantity resource.Quantity, current *corev1.ResourceRequirements, of string) error {
	now, there := current.Limits[a.resource]
	what := "limit"
	if !a.limit {
		if request, asked := current.Requests[a.resource]; asked || !there {
			now, there, what = request, asked, "request"
		}
	}
	switch {
	case a.limit && !there:
		return fmt.Errorf("%s: %s has no %s limit, and one would lower what it may use; only raising is done here", a.parameter, of, a.resource)
	case there && quantity.Cmp(now) < 0:
		return fmt.Errorf("%s: %s is below the %s %s of %s, which is %s; only raising is done here", a.parameter, &quantity, a.resource, what, of, &now)
	}
	return nil
}

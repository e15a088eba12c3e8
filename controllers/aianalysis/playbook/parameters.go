package playbook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// parameter is what the schema of the API says about one parameter of an action; a test holds it to the Go types.
type parameter struct {
	name     string
	required bool
	// integer parameters are between least and most; texts have between least and most bytes; boolean ones are true or false.
	integer     bool
	boolean     bool
	least, most int64
	values      []string
	// prose is cut to its bound instead of refused: it is for people.
	prose bool
}

const (
	longestNamespace = 63
	longestName      = 253
	longestContainer = 63
	longestText      = 1024
	longestQuantity  = 32
	mostReplicas     = 1000
	mostGracePeriod  = 3600
	mostRevision     = 1<<63 - 1
)

// parametersOf are the parameters of an action; an unknown action has none.
func parametersOf(action shared.ActionType) ([]parameter, bool) {
	namespace := parameter{name: "namespace", required: true, least: 1, most: longestNamespace}
	name := parameter{name: "name", required: true, least: 1, most: longestName}
	kinds := []string{string(shared.WorkloadDeployment), string(shared.WorkloadStatefulSet), string(shared.WorkloadDaemonSet)}
	quantity := func(name string) parameter { return parameter{name: name, least: 1, most: longestQuantity} }
	switch action {
	case shared.ActionRestartDeployment:
		return []parameter{namespace, name}, true
	case shared.ActionRestartPod:
		return []parameter{
			namespace, name, {name: "gracePeriodSeconds", integer: true, most: mostGracePeriod}, {name: "force", boolean: true},
		}, true
	case shared.ActionIncreaseResources:
		return []parameter{
			namespace,
			{name: "kind", values: kinds},
			name,
			{name: "container", required: true, least: 1, most: longestContainer},
			quantity("memoryRequest"), quantity("memoryLimit"), quantity("cpuRequest"), quantity("cpuLimit"),
		}, true
	case shared.ActionCordonNode, shared.ActionUncordonNode:
		return []parameter{name}, true
	case shared.ActionScaleDeployment:
		return []parameter{namespace, name, {name: "replicas", required: true, integer: true, most: mostReplicas}}, true
	case shared.ActionRollbackDeployment:
		return []parameter{namespace, name, {name: "revision", integer: true, most: mostRevision}}, true
	case shared.ActionUpdateImage:
		return []parameter{
			namespace,
			{name: "kind", values: kinds},
			name,
			{name: "container", required: true, least: 1, most: longestContainer},
			{name: "image", required: true, least: 1, most: longestText},
		}, true
	case shared.ActionNotifyOnly:
		severities := []string{string(shared.SeverityCritical), string(shared.SeverityWarning), string(shared.SeverityInfo)}
		return []parameter{
			{name: "message", required: true, least: 1, most: longestText, prose: true},
			{name: "severity", values: severities},
		}, true
	default:
		return nil, false
	}
}

// memberOf is the field of the union that belongs to the action, to decode its parameters into.
func memberOf(action *shared.Action) any {
	switch action.Type {
	case shared.ActionScaleDeployment:
		action.ScaleDeployment = &shared.ScaleDeployment{}
		return action.ScaleDeployment
	case shared.ActionRestartDeployment:
		action.RestartDeployment = &shared.RestartDeployment{}
		return action.RestartDeployment
	case shared.ActionRestartPod:
		action.RestartPod = &shared.RestartPod{}
		return action.RestartPod
	case shared.ActionIncreaseResources:
		action.IncreaseResources = &shared.IncreaseResources{}
		return action.IncreaseResources
	case shared.ActionCordonNode:
		action.CordonNode = &shared.CordonNode{}
		return action.CordonNode
	case shared.ActionUncordonNode:
		action.UncordonNode = &shared.UncordonNode{}
		return action.UncordonNode
	case shared.ActionRollbackDeployment:
		action.RollbackDeployment = &shared.RollbackDeployment{}
		return action.RollbackDeployment
	case shared.ActionUpdateImage:
		action.UpdateImage = &shared.UpdateImage{}
		return action.UpdateImage
	case shared.ActionNotifyOnly:
		action.NotifyOnly = &shared.NotifyOnly{}
		return action.NotifyOnly
	default:
		return nil
	}
}

// parse is the value of the parameter as JSON has it.
func (p parameter) parse(text string) (any, error) {
	if len(p.values) > 0 {
		if !slices.Contains(p.values, text) {
			return nil, fmt.Errorf("%q is none of %s", text, strings.Join(p.values, ", "))
		}
		return text, nil
	}
	if p.integer {
		number, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not an integer", text)
		}
		if number < p.least || number > p.most {
			return nil, fmt.Errorf("%d is not from %d to %d", number, p.least, p.most)
		}
		return number, nil
	}
	if p.boolean {
		switch text {
		case "true", "false":
			return text == "true", nil
		default:
			return nil, fmt.Errorf("%q is neither true nor false", text)
		}
	}
	if p.prose {
		text = machinery.Cut(text, int(p.most))
	}
	if length := int64(len(text)); length < p.least || length > p.most {
		return nil, fmt.Errorf("has %d bytes, not from %d to %d", length, p.least, p.most)
	}
	return text, nil
}

// decodeAction makes the typed action of parsed parameters.
func decodeAction(actionType shared.ActionType, values map[string]any) (shared.Action, error) {
	action := shared.Action{Type: actionType}
	member := memberOf(&action)
	if member == nil {
		return shared.Action{}, fmt.Errorf("action %q is not in the catalogue", actionType)
	}
	text, err := json.Marshal(values)
	if err != nil {
		return shared.Action{}, fmt.Errorf("parameters of %s: %w", actionType, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(member); err != nil {
		return shared.Action{}, fmt.Errorf("parameters of %s: %w", actionType, err)
	}
	return action, nil
}

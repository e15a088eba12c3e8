package playbook

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	engine "kubernaut.io/kubernaut/controllers/aianalysis/playbook"
)

// Snapshot is a playbook and what is wrong with it.
type Snapshot struct {
	playbook *catalogv1alpha1.Playbook
	problems field.ErrorList
}

func gather(playbook *catalogv1alpha1.Playbook) Snapshot {
	_, problems := engine.Compile(&playbook.Spec)
	return Snapshot{playbook: playbook, problems: problems}
}

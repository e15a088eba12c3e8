package webhooks

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	"kubernaut.io/kubernaut/webhooks/rules"
)

func playbookHook() hook {
	return hook{
		group:    catalogv1alpha1.GroupVersion.Group,
		version:  catalogv1alpha1.GroupVersion.Version,
		kind:     "Playbook",
		resource: "playbooks",
		cluster:  true,
		complete: true,
	}
}

// playbooks is admission for Playbook: one that cannot be used is never stored.
type playbooks struct{}

// ValidateCreate checks a new playbook.
func (*playbooks) ValidateCreate(_ context.Context, playbook *catalogv1alpha1.Playbook) (admission.Warnings, error) {
	return nil, playbookHook().refuse(playbook, rules.ValidatePlaybook(playbook))
}

// ValidateUpdate checks a playbook that was changed like a new one.
func (w *playbooks) ValidateUpdate(ctx context.Context, _, playbook *catalogv1alpha1.Playbook) (admission.Warnings, error) {
	return w.ValidateCreate(ctx, playbook)
}

// ValidateDelete refuses nothing: who may delete is left to RBAC, and the webhook is not registered for it.
func (*playbooks) ValidateDelete(context.Context, *catalogv1alpha1.Playbook) (admission.Warnings, error) {
	return nil, nil
}

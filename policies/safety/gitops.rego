# METADATA
# title: GitOps
# description: >-
#   A change of an object that Argo CD or Flux manages needs approval: the tool may undo it at its next synchronisation, and the
#   repository does not know of it.
# custom:
#   enforcement: Enforce
#   stages: [plan, step]
package kubernaut.safety.gitops

# METADATA
# title: Changing an object that Argo CD or Flux manages.
# custom:
#   example: A step scales a Deployment with the label kustomize.toolkit.fluxcd.io/name.
require_approval contains {"code": "managed_by_gitops", "msg": msg} if {
	not is_permitted
	msg := sprintf("%v, which may undo the change; the lasting place for it is the repository", [manager])
}

is_permitted if input.target.gitops.managed == false

# It changes nothing in the cluster, so it has no target.
is_permitted if input.step.action.type == "notify-only"

default manager := "the target may be managed by a GitOps tool"

manager := sprintf("the target is managed by %v", [tool]) if {
	input.target.gitops.managed == true
	tool := input.target.gitops.tool
	is_string(tool)
	not has_application
}

manager := sprintf("the target is managed by %v in %v", [tool, application]) if {
	input.target.gitops.managed == true
	tool := input.target.gitops.tool
	is_string(tool)
	application := input.target.gitops.application
	is_string(application)
}

has_application if is_string(input.target.gitops.application)

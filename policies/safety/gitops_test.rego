package kubernaut.safety.gitops_test

import data.kubernaut.safety.gitops as policy

change(managed, tool, application) := {
	"step": {"action": {"type": "rollback-deployment"}},
	"target": {"gitops": {"managed": managed, "tool": tool, "application": application}},
}

permitted if count(policy.require_approval) == 0

rest := ", which may undo the change; the lasting place for it is the repository"

approved_first(manager) if {
	policy.require_approval == {{"code": "managed_by_gitops", "msg": concat("", [manager, rest])}}
}

unknown := "the target may be managed by a GitOps tool"

test_what_no_tool_manages_is_permitted if {
	permitted with input as change(false, null, null)
}

test_what_a_tool_manages_needs_approval if {
	approved_first("the target is managed by ArgoCD in shop") with input as change(true, "ArgoCD", "shop")
	approved_first("the target is managed by Flux") with input as change(true, "Flux", null)
	approved_first(unknown) with input as change(true, null, "shop")
}

test_a_missing_fact_needs_approval if {
	approved_first(unknown) with input as json.remove(change(false, null, null), ["target/gitops/managed"])
	approved_first(unknown) with input as json.remove(change(false, null, null), ["target/gitops"])
	approved_first(unknown) with input as json.remove(change(false, null, null), ["target"])
	approved_first(unknown) with input as {}
}

test_a_null_fact_needs_approval if {
	approved_first(unknown) with input as change(null, null, null)
	approved_first(unknown) with input as {"target": {"gitops": null}}
}

test_another_type_needs_approval if {
	approved_first(unknown) with input as change("false", null, null)
}

test_a_notification_is_permitted if {
	permitted with input as object.union(change(null, null, null), {"step": {"action": {"type": "notify-only"}}})
}

test_a_missing_or_null_action_needs_approval if {
	approved_first(unknown) with input as {"step": {"action": {}}}
	approved_first(unknown) with input as {"step": {"action": {"type": null}}}
}

# It has none; whatever is there changes nothing.
test_missing_parameters_change_nothing if {
	permitted with input as change(false, null, null) with data.kubernaut.parameters as {}
	count(policy.require_approval) == 1 with input as change(true, "Flux", "shop") with data.kubernaut.parameters as {}
}

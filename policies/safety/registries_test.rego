package kubernaut.safety.registries_test

import data.kubernaut.safety.registries as policy

update(from, to) := {
	"step": {"action": {"type": "update-image", "updateImage": {"container": "app", "image": to}}},
	"target": {"object": {"spec": {"template": {"spec": {"containers": [
		{"name": "sidecar", "image": "quay.io/mesh/proxy:1"},
		{"name": "app", "image": from},
	]}}}}},
}

denied if policy.deny == {{"code": "registry", "msg": message}}

message := sprintf("image %v comes from a registry that is not permitted here", [input.step.action.updateImage.image])

permitted if count(policy.deny) == 0

test_the_same_registry_is_permitted if {
	permitted with input as update("registry.example.com/shop/cart:1", "registry.example.com/shop/cart:2")
	permitted with input as update("registry.example.com:5000/cart:1", "registry.example.com:5000/other/cart:2")
	permitted with input as update("localhost/cart:1", "localhost/cart:2")
	permitted with input as update("Registry.example.com/cart:1", "registry.example.com/cart@sha256:0")
}

test_another_registry_is_denied if {
	denied with input as update("registry.example.com/cart:1", "evil.example.com/cart:2")
	denied with input as update("registry.example.com/cart:1", "registry.example.com:5000/cart:1")
	denied with input as update("registry.example.com/cart:1", "cart:1")
	denied with input as update("cart:1", "localhost/cart:1")
	denied with input as update("cart:1", "EVIL/cart:1")
}

test_an_image_without_a_host_is_from_docker_io if {
	permitted with input as update("cart:1", "docker.io/library/cart:2")
	permitted with input as update("index.docker.io/library/cart:1", "shop/cart:2")
	permitted with input as update("shop/cart:1.2", "cart@sha256:0")
}

test_a_registry_of_the_parameters_is_permitted if {
	permitted with input as update("cart:1", "mirror.example.com/cart:1")
		with data.kubernaut.parameters.registries.registries as ["Mirror.example.com"]
}

test_an_init_container_is_found if {
	target := {"object": {"spec": {"template": {"spec": {"containers": [], "initContainers": [{
		"name": "app",
		"image": "registry.example.com/init:1",
	}]}}}}}
	permitted with input as object.union(update("", "registry.example.com/init:2"), {"target": target})
	denied with input as object.union(update("", "evil.example.com/init:2"), {"target": target})
}

test_an_unknown_container_is_denied if {
	other := {"step": {"action": {"updateImage": {"container": "nobody"}}}}
	denied with input as object.union(update("cart:1", "cart:2"), other)
}

test_an_unknown_container_is_denied_even_from_a_registry_of_the_parameters if {
	other := {"step": {"action": {"updateImage": {"container": "nobody"}}}}
	denied with input as object.union(update("cart:1", "mirror.example.com/cart:2"), other)
		with data.kubernaut.parameters.registries.registries as ["mirror.example.com"]
}

test_a_missing_object_is_denied if {
	denied with input as json.remove(update("cart:1", "cart:2"), ["target/object"])
	denied with input as json.remove(update("cart:1", "cart:2"), ["target"])
}

test_a_null_object_is_denied if {
	denied with input as object.union(update("cart:1", "cart:2"), {"target": {"object": null}})
}

test_a_missing_current_image_is_denied if {
	denied with input as json.remove(
		update("cart:1", "cart:2"),
		["target/object/spec/template/spec/containers/1/image"],
	)
}

test_a_null_or_empty_current_image_is_denied if {
	denied with input as update(null, "cart:2")
	denied with input as update("", "cart:2")
}

test_a_missing_new_image_is_denied if {
	count(policy.deny) == 1 with input as json.remove(update("cart:1", "cart:2"), ["step/action/updateImage/image"])
	count(policy.deny) == 1 with input as json.remove(update("cart:1", "cart:2"), ["step/action/updateImage"])
}

test_a_null_or_empty_new_image_is_denied if {
	count(policy.deny) == 1 with input as update("cart:1", null)
	count(policy.deny) == 1 with input as update("cart:1", "")
}

test_an_image_that_is_unknown_is_called_so if {
	msg := "image with an unknown name comes from a registry that is not permitted here"
	policy.deny == {{"code": "registry", "msg": msg}} with input as {}
}

test_a_missing_action_is_denied if {
	count(policy.deny) == 1 with input as {}
}

test_a_null_action_type_is_denied if {
	count(policy.deny) == 1 with input as {"step": {"action": {"type": null}}}
}

test_missing_parameters_deny if {
	denied with input as update("cart:1", "cart:2") with data.kubernaut.parameters as {}
	denied with input as update("cart:1", "cart:2") with data.kubernaut.parameters.registries as {}
}

test_a_list_that_is_none_denies if {
	every wrong in [null, "docker.io", {}] {
		denied with input as update("cart:1", "cart:2")
			with data.kubernaut.parameters.registries.registries as wrong
	}
}

test_other_actions_are_permitted if {
	permitted with input as {"step": {"action": {"type": "scale-deployment"}}}
}

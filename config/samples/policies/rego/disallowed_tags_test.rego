package kubernaut.safety.disallowed_tags_test

import data.kubernaut.safety.disallowed_tags as policy

set(image) := {"step": {"action": {"type": "update-image", "updateImage": {"image": image}}}}

denied if count(policy.deny) == 1 with data.kubernaut.parameters.disallowed_tags.tags as ["latest", "main"]

allowed if count(policy.deny) == 0 with data.kubernaut.parameters.disallowed_tags.tags as ["latest", "main"]

test_a_version_is_allowed if {
	allowed with input as set("registry.example.com:5000/shop/cart:1.4.2")
	allowed with input as set("cart:1")
}

test_a_digest_is_allowed if {
	allowed with input as set("registry.example.com/shop/cart@sha256:4711")
	allowed with input as set("registry.example.com/shop/cart:latest@sha256:4711")
}

test_a_tag_that_says_nothing_is_denied if {
	denied with input as set("registry.example.com/shop/cart:latest")
	denied with input as set("cart:main")
}

test_no_tag_is_denied if {
	denied with input as set("cart")
	denied with input as set("registry.example.com:5000/shop/cart")
}

test_what_is_unknown_is_denied if {
	denied with input as {"step": {"action": {}}}
	denied with input as set(null)
	count(policy.deny) == 1 with input as set("cart:1") with data.kubernaut.parameters.disallowed_tags as {}
}

package kubernaut.safety.allowed_repos_test

import data.kubernaut.safety.allowed_repos as policy

set(image) := {"step": {"action": {"type": "update-image", "updateImage": {"image": image}}}}

denied if count(policy.deny) == 1

shop := ["registry.example.com/shop/", "quay.io/shop/"]

test_a_named_repository_is_allowed if {
	count(policy.deny) == 0 with input as set("registry.example.com/shop/cart:2")
		with data.kubernaut.parameters.allowed_repos.repos as shop
	count(policy.deny) == 0 with input as set("quay.io/shop/cart:2")
		with data.kubernaut.parameters.allowed_repos.repos as shop
}

test_another_repository_is_denied if {
	denied with input as set("registry.example.com/shopping/cart:2") with data.kubernaut.parameters.allowed_repos.repos as shop
	denied with input as set("cart:2") with data.kubernaut.parameters.allowed_repos.repos as shop
}

test_the_message_names_the_image if {
	{result.msg | some result in policy.deny} == {"the image cart:2 is from none of the allowed repositories"} with input as set("cart:2")
		with data.kubernaut.parameters.allowed_repos.repos as shop
}

test_an_empty_beginning_allows_nothing if {
	denied with input as set("cart:2") with data.kubernaut.parameters.allowed_repos.repos as [""]
}

test_without_a_repository_nothing_is_allowed if {
	denied with input as set("cart:2") with data.kubernaut.parameters.allowed_repos.repos as []
	denied with input as set("cart:2") with data.kubernaut.parameters.allowed_repos as {}
}

test_an_unknown_image_is_denied if {
	denied with input as {"step": {"action": {}}} with data.kubernaut.parameters.allowed_repos.repos as shop
	denied with input as set(null) with data.kubernaut.parameters.allowed_repos.repos as shop
}

# METADATA
# title: Disallowed tags
# description: A new image has a tag or a digest, and not one of the tags that say nothing about what is run.
# related_resources:
# - ref: https://open-policy-agent.github.io/gatekeeper-library/website/validation/disallowedtags
# custom:
#   enforcement: Audit
#   stages: [plan, step]
#   match:
#     actions: [update-image]
#   parameters:
#     tags: Tags that no image may have.
package kubernaut.safety.disallowed_tags

# METADATA
# title: Setting an image without a tag, or with one that is not permitted.
# custom:
#   example: The image registry.example.com/shop/cart:latest is set.
deny contains {"code": "tag", "msg": msg} if {
	not is_named_exactly
	msg := sprintf("the image %v has no tag, or one that may not be used", [object.get(input, ["step", "action", "updateImage", "image"], "that is not known")])
}

is_named_exactly if {
	image := input.step.action.updateImage.image
	is_string(image)
	contains(image, "@sha256:")
}

is_named_exactly if {
	tag := tag_of(input.step.action.updateImage.image)
	disallowed := data.kubernaut.parameters.disallowed_tags.tags
	is_array(disallowed)
	not tag in disallowed
}

# What stands behind a colon in the last part: the colon of a registry's port is in the first.
tag_of(image) := tag if {
	is_string(image)
	parts := split(image, "/")
	named := split(parts[count(parts) - 1], ":")
	count(named) == 2
	tag := named[1]
}

# METADATA
# title: Allowed repositories
# description: A new image comes from one of the repositories that an admin named. Without any, no image is permitted.
# related_resources:
# - ref: https://open-policy-agent.github.io/gatekeeper-library/website/validation/allowedrepos
# custom:
#   enforcement: Audit
#   stages: [plan, step]
#   match:
#     actions: [update-image]
#   parameters:
#     repos: "Beginnings of image names; let each end in a slash, so that it is a whole repository: registry.example.com/shop/"
package kubernaut.safety.allowed_repos

# METADATA
# title: Setting an image from a repository that is not named.
# custom:
#   example: The image evil.example.net/shop/cart:1 is set, and only registry.example.com/shop/ is named.
deny contains {"code": "repository", "msg": msg} if {
	not is_allowed
	msg := sprintf("the image %v is from none of the allowed repositories", [object.get(input, ["step", "action", "updateImage", "image"], "that is not known")])
}

is_allowed if {
	image := input.step.action.updateImage.image
	is_string(image)
	some repo in data.kubernaut.parameters.allowed_repos.repos
	repo != ""
	startswith(image, repo)
}

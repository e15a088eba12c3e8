# METADATA
# title: Image registries
# description: A new image comes from the registry of the image that it replaces, or from one that an admin named.
# custom:
#   enforcement: Enforce
#   stages: [plan, step]
#   parameters:
#     registries: Registry hosts, with their port if any, from which images may come besides.
package kubernaut.safety.registries

# METADATA
# title: Setting an image that comes from a registry which is not permitted for this workload.
# custom:
#   example: The image registry.example.com/shop/cart:1 is replaced by evil.example.net/shop/cart:1.
deny contains {"code": "registry", "msg": msg} if {
	not is_permitted
	msg := sprintf("image %v comes from a registry that is not permitted here", [image_text])
}

is_permitted if {
	action := input.step.action.type
	is_string(action)
	action != "update-image"
}

is_permitted if {
	registry := registry_of(input.step.action.updateImage.image)
	besides := data.kubernaut.parameters.registries.registries
	is_array(besides)
	permitted := {registry_of(current_image)} | {lower(host) | some host in besides}
	registry in permitted
}

# Undefined unless exactly one container of that name is there: an unknown one cannot be compared.
current_image := image if {
	container := input.step.action.updateImage.container
	spec := input.target.object.spec.template.spec
	images := [found.image |
		some field in ["containers", "initContainers"]
		some found in spec[field]
		found.name == container
	]
	count(images) == 1
	image := images[0]
}

# As container runtimes read a reference: what stands before the first slash is a host if nothing else can look like it.
registry_of(image) := host if {
	is_string(image)
	first := first_part(image)
	is_host(first)
	host := canonical(lower(first))
}

registry_of(image) := "docker.io" if {
	is_string(image)
	image != ""
	first := first_part(image)
	not is_host(first)
}

first_part(image) := parts[0] if {
	parts := split(image, "/")
	count(parts) > 1
}

first_part(image) := "" if not contains(image, "/")

is_host(part) if regex.match(`[.:A-Z]`, part)

is_host("localhost")

canonical(host) := "docker.io" if host == "index.docker.io"

canonical(host) := host if host != "index.docker.io"

default image_text := "with an unknown name"

image_text := image if {
	image := input.step.action.updateImage.image
	is_string(image)
}

package main

import (
	"fmt"
	"strings"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
)

// actionProperties is the table of what the catalogue says about each action beyond its parameters.
func actionProperties() string {
	var text strings.Builder
	text.WriteString("| action | undone by restoring | may be repeated | locks beside its target | its account writes | and reads |\n|---|---|---|---|---|---|\n")
	for _, action := range actions.All() {
		parameters := &shared.Action{Type: action.Type()}
		fmt.Fprintf(&text, "| [`%s`](#%s) | %s | %s | %s | %s | %s |\n", action.Type(), action.Type(), reversibleText(action), repeatableText(action, parameters),
			codeList(action.Scopes(parameters)), permissionsText(action.Writes()), permissionsText(action.Reads()))
	}
	return text.String()
}

func reversibleText(action actions.Action) string {
	switch action.Reversibility() {
	case actions.ReversibleYes:
		return "yes"
	case actions.ReversibleHarmless:
		return "nothing to undo"
	case actions.ReversibleNo:
		return "**no**"
	default:
		return string(action.Reversibility())
	}
}

func repeatableText(action actions.Action, defaults *shared.Action) string {
	if action.Repeatable(defaults) {
		return "yes"
	}
	return "not with its defaults"
}

func codeList(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

// permissionsText is each resource with its verbs: patch deployments.apps.
func permissionsText(permissions []actions.Permission) string {
	parts := make([]string, len(permissions))
	for i, permission := range permissions {
		resource := permission.Resource
		if permission.Group != "" {
			resource += "." + permission.Group
		}
		parts[i] = strings.Join(permission.Verbs, ", ") + " " + resource
	}
	return strings.Join(parts, "; ")
}

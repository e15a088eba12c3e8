package rules

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	"kubernaut.io/kubernaut/controllers/aianalysis/playbook"
)

// ValidatePlaybook checks a playbook, new or changed: every expression compiles and gives what its place needs, every literal is
// one of its parameter, and the steps can be ordered. One that is too large is not compiled at all.
func ValidatePlaybook(object *catalogv1alpha1.Playbook) field.ErrorList {
	if size := jsonSize(&object.Spec); size > maxSpecBytes {
		return field.ErrorList{field.Invalid(specPath(), fmt.Sprintf("%d bytes", size), fmt.Sprintf("a spec is at most %d bytes of JSON: split the playbook", maxSpecBytes))}
	}
	_, errs := playbook.Compile(&object.Spec)
	return errs
}

package rules

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"kubernaut.io/kubernaut/api/shared"
)

// maxActionBytes is how large the JSON of one action may be.
const maxActionBytes = 4 << 10

// validateAction checks what the schema cannot say about the parameters of an action. That exactly the member which type
// names is set is a rule of the CRD.
func validateAction(action *shared.Action, path *field.Path) (errs field.ErrorList) {
	if p := action.ScaleDeployment; p != nil {
		errs = append(errs, validateWorkload(p.Namespace, p.Name, path.Child("scaleDeployment"))...)
	}
	if p := action.RestartDeployment; p != nil {
		errs = append(errs, validateWorkload(p.Namespace, p.Name, path.Child("restartDeployment"))...)
	}
	if p := action.RestartPod; p != nil {
		errs = append(errs, validateWorkload(p.Namespace, p.Name, path.Child("restartPod"))...)
	}
	if p := action.IncreaseResources; p != nil {
		at := path.Child("increaseResources")
		errs = append(errs, validateWorkload(p.Namespace, p.Name, at)...)
		errs = append(errs, invalid(at.Child("container"), p.Container, validation.IsDNS1123Label(p.Container))...)
	}
	if p := action.CordonNode; p != nil {
		errs = append(errs, validateNode(p.Name, path.Child("cordonNode"))...)
	}
	if p := action.UncordonNode; p != nil {
		errs = append(errs, validateNode(p.Name, path.Child("uncordonNode"))...)
	}
	if p := action.RollbackDeployment; p != nil {
		errs = append(errs, validateWorkload(p.Namespace, p.Name, path.Child("rollbackDeployment"))...)
	}
	if p := action.UpdateImage; p != nil {
		at := path.Child("updateImage")
		errs = append(errs, validateWorkload(p.Namespace, p.Name, at)...)
		errs = append(errs, invalid(at.Child("container"), p.Container, validation.IsDNS1123Label(p.Container))...)
		errs = append(errs, validateImage(p.Image, at.Child("image"))...)
	}
	if p := action.NotifyOnly; p != nil && strings.TrimSpace(p.Message) == "" {
		errs = append(errs, field.Invalid(path.Child("notifyOnly", "message"), p.Message, "it is blank: say what people are to know"))
	}
	if size := jsonSize(action); size > maxActionBytes {
		errs = append(errs, field.Invalid(path, fmt.Sprintf("%d bytes", size), fmt.Sprintf("an action is at most %d bytes of JSON: shorten its parameters", maxActionBytes)))
	}
	return errs
}

func validateWorkload(namespace, name string, path *field.Path) (errs field.ErrorList) {
	errs = append(errs, invalid(path.Child("namespace"), namespace, apivalidation.ValidateNamespaceName(namespace, false))...)
	return append(errs, invalid(path.Child("name"), name, apivalidation.NameIsDNSSubdomain(name, false))...)
}

func validateNode(name string, path *field.Path) field.ErrorList {
	return invalid(path.Child("name"), name, apivalidation.NameIsDNSSubdomain(name, false))
}

func invalid(path *field.Path, value string, reasons []string) (errs field.ErrorList) {
	for _, reason := range reasons {
		errs = append(errs, field.Invalid(path, value, reason))
	}
	return errs
}

// The grammar of image references, as the registries' specification and github.com/distribution/reference have it.
var imagePattern = regexp.MustCompile(`^(` + imageDomain + `/)?` + imagePath + `(/` + imagePath + `)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@` + imageDigest + `)?$`)

const (
	imageLabel   = `[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?`
	imageDomain  = `(?:` + imageLabel + `(?:\.` + imageLabel + `)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?`
	imagePath    = `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`
	imageDigest  = `[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}`
	maxImageName = 255
)

func validateImage(image string, path *field.Path) field.ErrorList {
	if !imagePattern.MatchString(image) {
		return field.ErrorList{field.Invalid(path, image, "is not an image reference: write [registry/]repository[:tag][@digest], such as registry.example.com/shop/cart:1.4.2")}
	}
	rest, digest, _ := strings.Cut(image, "@")
	algorithm, hex, _ := strings.Cut(digest, ":")
	if length, known := map[string]int{"sha256": 64, "sha384": 96, "sha512": 128}[algorithm]; known && len(hex) != length {
		return field.ErrorList{field.Invalid(path, image, fmt.Sprintf("a %s digest has %d hexadecimal digits, not %d: copy it again", algorithm, length, len(hex)))}
	}
	name := rest
	if tag := strings.LastIndex(rest, ":"); tag > strings.LastIndex(rest, "/") {
		name = rest[:tag]
	}
	if len(name) > maxImageName {
		return field.ErrorList{field.TooLong(path, "", maxImageName)}
	}
	return nil
}

// jsonSize is how many bytes the value takes as JSON.
func jsonSize(value any) int {
	data, err := json.Marshal(value)
	if err != nil {
		// Our types always marshal; a value that did not would not have been decoded.
		return 0
	}
	return len(data)
}

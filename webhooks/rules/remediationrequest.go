package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
)

// Scope says whether the objects of a kind live in namespaces.
type Scope int

// The scopes. A kind that the cluster does not know may still be installed; it is taken for a namespaced one, as most are.
const (
	ScopeUnknown Scope = iota
	ScopeNamespaced
	ScopeCluster
)

const (
	maxLabelKey = 253

	defaultProcessing = 5 * time.Minute
	defaultAnalyzing  = 10 * time.Minute
	defaultOverall    = time.Hour
)

// DefaultRemediationRequest completes a new request that caller creates. Doing it twice changes nothing more.
func DefaultRemediationRequest(request *remediationv1.RemediationRequest, namespace string, caller shared.Requester, scope Scope) field.ErrorList {
	request.Annotations = stampAnnotation(request.Annotations, caller.Username)
	if errs := ForgedRequester(request.Spec.RequestedBy, caller); len(errs) > 0 {
		return errs
	}
	request.Spec.RequestedBy = caller
	target, signal := &request.Spec.Target, &request.Spec.SignalContext
	// Without the required fields there is nothing to complete: the schema refuses the object and names them.
	if target.Kind == "" || target.Name == "" || signal.Name == "" {
		return nil
	}
	if target.Namespace == "" && scope != ScopeCluster {
		target.Namespace = namespace
	}
	if signal.Fingerprint == "" {
		signal.Fingerprint = Fingerprint(signal.Name, *target)
	}
	return nil
}

// Fingerprint is the identity of a signal whose source gives none: the SHA-256 of name:namespace:kind:name.
func Fingerprint(signal string, target shared.Target) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{signal, target.Namespace, target.Kind, target.Name}, ":")))
	return hex.EncodeToString(sum[:])
}

// KeepRemediationRequest copies from the old object what admission once set and an update leaves out, so that applying the
// same manifest again changes nothing.
func KeepRemediationRequest(request, old *remediationv1.RemediationRequest) {
	request.Annotations = keepAnnotation(request.Annotations, old.Annotations)
	if request.Spec.RequestedBy.Username == "" {
		request.Spec.RequestedBy = old.Spec.RequestedBy
	}
	if request.Spec.Target.Namespace == "" {
		request.Spec.Target.Namespace = old.Spec.Target.Namespace
	}
	if request.Spec.SignalContext.Fingerprint == "" {
		request.Spec.SignalContext.Fingerprint = old.Spec.SignalContext.Fingerprint
	}
}

// ValidateRemediationRequest checks a new request that caller creates.
func ValidateRemediationRequest(request *remediationv1.RemediationRequest, caller shared.Requester, scope Scope) field.ErrorList {
	spec := &request.Spec
	errs := SameRequester(spec.RequestedBy, caller)
	errs = append(errs, validateTarget(&spec.Target, scope, specPath().Child("target"))...)
	errs = append(errs, validateSignal(&spec.SignalContext, specPath().Child("signalContext"))...)
	errs = append(errs, validateRemediationTimeouts(spec.Timeouts, specPath().Child("timeouts"))...)
	if size := jsonSize(spec); size > maxSpecBytes {
		errs = append(errs, field.Invalid(specPath(), fmt.Sprintf("%d bytes", size), fmt.Sprintf("a spec is at most %d bytes of JSON: shorten labels and annotations of the signal", maxSpecBytes)))
	}
	return errs
}

// ValidateRemediationRequestUpdate checks a change. What the spec may change at all is a rule of the CRD.
func ValidateRemediationRequestUpdate(request, old *remediationv1.RemediationRequest) field.ErrorList {
	return annotationUnchanged(request.Annotations, old.Annotations)
}

// RemediationRequestWarnings are what the author of a new request should know although it is no error.
func RemediationRequestWarnings(request *remediationv1.RemediationRequest, scope Scope) []string {
	if scope != ScopeUnknown {
		return nil
	}
	target := request.Spec.Target
	return []string{fmt.Sprintf("spec.target: this cluster does not serve kind %s of %s; unless it is installed, the remediation will not find its target", target.Kind, target.APIVersion)}
}

func validateTarget(target *shared.Target, scope Scope, at *field.Path) (errs field.ErrorList) {
	version, err := schema.ParseGroupVersion(target.APIVersion)
	switch {
	case err != nil || version.Version == "":
		errs = append(errs, field.Invalid(at.Child("apiVersion"), target.APIVersion, "write group/version, such as apps/v1, or version alone for the core group"))
	default:
		errs = append(errs, invalid(at.Child("apiVersion"), target.APIVersion, validation.IsDNS1035Label(version.Version))...)
		if version.Group != "" {
			errs = append(errs, invalid(at.Child("apiVersion"), target.APIVersion, validation.IsDNS1123Subdomain(version.Group))...)
		}
	}
	if target.Kind == "" || len(validation.IsDNS1035Label(strings.ToLower(target.Kind))) > 0 || !unicode.IsUpper(rune(target.Kind[0])) {
		errs = append(errs, field.Invalid(at.Child("kind"), target.Kind, "write the kind in CamelCase, such as Deployment"))
	}
	errs = append(errs, invalid(at.Child("name"), target.Name, content.IsPathSegmentName(target.Name))...)
	switch {
	case scope == ScopeCluster && target.Namespace != "":
		errs = append(errs, field.Forbidden(at.Child("namespace"), target.Kind+" is cluster-scoped: leave the namespace out"))
	case scope != ScopeCluster:
		errs = append(errs, invalid(at.Child("namespace"), target.Namespace, apivalidation.ValidateNamespaceName(target.Namespace, false))...)
	}
	return errs
}

func validateSignal(signal *shared.SignalContext, at *field.Path) (errs field.ErrorList) {
	errs = append(errs, validateText(at.Child("name"), signal.Name)...)
	errs = append(errs, validateText(at.Child("source"), signal.Source)...)
	for _, key := range slices.Sorted(maps.Keys(signal.Labels)) {
		errs = append(errs, validateKey(at.Child("labels"), key)...)
		errs = append(errs, validateText(at.Child("labels").Key(key), string(signal.Labels[key]))...)
	}
	for _, key := range slices.Sorted(maps.Keys(signal.Annotations)) {
		errs = append(errs, validateKey(at.Child("annotations"), key)...)
	}
	return errs
}

func validateKey(at *field.Path, key string) field.ErrorList {
	switch {
	case key == "":
		return field.ErrorList{field.Invalid(at, key, "a key is empty: name it or remove it")}
	case len(key) > maxLabelKey:
		return field.ErrorList{field.TooLong(at.Key(key[:maxLabelKey]), "", maxLabelKey)}
	default:
		return validateText(at.Key(key), key)
	}
}

// validateText refuses what would forge lines in logs, events and notifications.
func validateText(at *field.Path, text string) field.ErrorList {
	if !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return nil
	}
	return field.ErrorList{field.Invalid(at, text, "it has control characters or is not UTF-8: remove them")}
}

func validateRemediationTimeouts(timeouts *remediationv1.RemediationTimeouts, at *field.Path) field.ErrorList {
	if timeouts == nil {
		return nil
	}
	processing, analyzing, overall := defaultProcessing, defaultAnalyzing, defaultOverall
	if timeouts.Processing != nil {
		processing = timeouts.Processing.Duration
	}
	if timeouts.Analyzing != nil {
		analyzing = timeouts.Analyzing.Duration
	}
	if timeouts.Overall != nil {
		overall = timeouts.Overall.Duration
	}
	if processing+analyzing <= overall {
		return nil
	}
	return field.ErrorList{field.Invalid(at.Child("overall"), overall.String(),
		fmt.Sprintf("processing and analyzing may take %s together: give at least that, or shorten them", processing+analyzing))}
}

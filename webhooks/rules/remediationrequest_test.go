package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
)

// digest is printf %s 'KubeDeploymentRolloutStuck:shop:Deployment:cart' | sha256sum.
const digest = "5fa8137753b8bcdf9f3576efa241e39d4cc7efef0ac33123d4d53d3a4f04b296"

func request(change func(*remediationv1.RemediationRequestSpec)) *remediationv1.RemediationRequest {
	r := &remediationv1.RemediationRequest{Spec: remediationv1.RemediationRequestSpec{
		SignalContext: shared.SignalContext{Name: "KubeDeploymentRolloutStuck"},
		Target:        shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "cart"},
		RequestedBy:   alice,
	}}
	if change != nil {
		change(&r.Spec)
	}
	return r
}

func TestValidateRemediationRequest(t *testing.T) {
	type spec = remediationv1.RemediationRequestSpec
	for name, test := range map[string]struct {
		change func(*spec)
		scope  Scope
		want   map[string]string
	}{
		"a usual request": {scope: ScopeNamespaced},
		"a cluster-scoped target": {
			scope:  ScopeCluster,
			change: func(s *spec) { s.Target = shared.Target{APIVersion: "v1", Kind: "Node", Name: "worker-1"} },
		},
		"a name with a colon, as roles have them": {
			scope: ScopeCluster,
			change: func(s *spec) {
				s.Target = shared.Target{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole", Name: "system:node"}
			},
		},
		"a namespace for a cluster-scoped target": {
			scope:  ScopeCluster,
			change: func(s *spec) { s.Target.APIVersion, s.Target.Kind = "v1", "Node" },
			want:   map[string]string{"spec.target.namespace": "Node is cluster-scoped"},
		},
		"all errors come at once": {
			change: func(s *spec) {
				s.Target = shared.Target{APIVersion: "a/b/c", Kind: "deployment", Namespace: "Shop", Name: "a/b"}
				s.SignalContext.Name = "x\ny"
				s.SignalContext.Source = "x\x00"
				s.SignalContext.Labels = map[string]shared.LabelText{"": "v", "pod": "a\x1b[31m", strings.Repeat("k", 300): "v"}
				s.SignalContext.Annotations = map[string]shared.AnnotationText{"summary": "two\nlines are fine", "a\tb": ""}
				s.Timeouts = &remediationv1.RemediationTimeouts{Processing: seconds(3000), Analyzing: seconds(601), Overall: seconds(3600)}
				s.RequestedBy.Username = "mallory"
			},
			want: map[string]string{
				"spec.target.apiVersion":         "write group/version",
				"spec.target.kind":               "CamelCase",
				"spec.target.namespace":          "RFC 1123",
				"spec.target.name":               "may not contain",
				"spec.signalContext.name":        "control characters",
				"spec.signalContext.source":      "control characters",
				"spec.signalContext.labels":      "a key is empty",
				"spec.signalContext.labels[pod]": "control characters",
				"spec.signalContext.labels[" + strings.Repeat("k", 253) + "]": "Too long",
				"spec.signalContext.annotations[a\tb]":                        "control characters",
				"spec.timeouts.overall":                                       "1h0m1s together",
				"spec.requestedBy.username":                                   "you are alice",
			},
		},
		"a group or version that is no DNS name": {
			change: func(s *spec) { s.Target.APIVersion = "Apps_/V1" },
			want:   map[string]string{"spec.target.apiVersion": "DNS"},
		},
		"a group that is no DNS name": {
			change: func(s *spec) { s.Target.APIVersion = "Apps_/v1" },
			want:   map[string]string{"spec.target.apiVersion": "RFC 1123 subdomain"},
		},
		"no version": {
			change: func(s *spec) { s.Target.APIVersion = "apps/" },
			want:   map[string]string{"spec.target.apiVersion": "write group/version"},
		},
		"limits that fit exactly": {
			change: func(s *spec) {
				s.Timeouts = &remediationv1.RemediationTimeouts{Processing: seconds(3000), Analyzing: seconds(600)}
			},
		},
		"limits that the defaults break": {
			change: func(s *spec) { s.Timeouts = &remediationv1.RemediationTimeouts{Overall: seconds(899)} },
			want:   map[string]string{"spec.timeouts.overall": "15m0s together"},
		},
		"too much of everything": {
			change: func(s *spec) {
				s.SignalContext.Annotations = map[string]shared.AnnotationText{"runbook": shared.AnnotationText(strings.Repeat("x", maxSpecBytes))}
			},
			want: map[string]string{"spec": "at most 131072 bytes"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			expectErrors(t, ValidateRemediationRequest(request(test.change), alice, test.scope), test.want)
		})
	}
}

func TestDefaultRemediationRequest(t *testing.T) {
	bare := func(s *remediationv1.RemediationRequestSpec) {
		s.RequestedBy, s.Target.Namespace = shared.Requester{}, ""
	}
	stamped := map[string]string{shared.AnnotationRequestedBy: "alice"}

	given := request(bare)
	if errs := DefaultRemediationRequest(given, "shop", alice, ScopeUnknown); len(errs) > 0 {
		t.Fatal(errs)
	}
	want := request(func(s *remediationv1.RemediationRequestSpec) { s.SignalContext.Fingerprint = digest })
	want.Annotations = stamped
	if diff := cmp.Diff(want, given); diff != "" {
		t.Errorf("(-want +have)\n%s", diff)
	}
	DefaultRemediationRequest(given, "shop", alice, ScopeUnknown)
	if diff := cmp.Diff(want, given); diff != "" {
		t.Errorf("defaulting twice changed something (-want +have)\n%s", diff)
	}

	again := request(bare)
	KeepRemediationRequest(again, given)
	if diff := cmp.Diff(given, again); diff != "" {
		t.Errorf("the same manifest changed the object (-old +new)\n%s", diff)
	}
	if errs := ValidateRemediationRequestUpdate(again, given); len(errs) > 0 {
		t.Error(errs)
	}

	node := request(func(s *remediationv1.RemediationRequestSpec) {
		s.Target = shared.Target{APIVersion: "v1", Kind: "Node", Name: "worker-1"}
	})
	DefaultRemediationRequest(node, "shop", alice, ScopeCluster)
	if node.Spec.Target.Namespace != "" {
		t.Error("a cluster-scoped target got a namespace")
	}

	empty := request(func(s *remediationv1.RemediationRequestSpec) { *s = remediationv1.RemediationRequestSpec{} })
	DefaultRemediationRequest(empty, "shop", alice, ScopeUnknown)
	if empty.Spec.SignalContext.Fingerprint != "" || empty.Spec.Target.Namespace != "" {
		t.Error("an object without its required fields was completed: the schema's message would name fields that nobody wrote")
	}

	forged := request(nil)
	errs := DefaultRemediationRequest(forged, "shop", shared.Requester{Username: "mallory"}, ScopeUnknown)
	if len(errs) == 0 {
		t.Error("a forged requester was accepted")
	}
}

func TestRemediationRequestUpdate(t *testing.T) {
	old := request(nil)
	DefaultRemediationRequest(old, "shop", alice, ScopeNamespaced)
	updated := old.DeepCopy()
	updated.Annotations[shared.AnnotationRequestedBy] = "mallory"
	updated.Spec.Cancel = new(true)
	expectErrors(t, ValidateRemediationRequestUpdate(updated, old), map[string]string{
		"metadata.annotations[kubernaut.io/requested-by]": "leave it as it is",
	})
}

func TestRemediationRequestWarnings(t *testing.T) {
	if have := RemediationRequestWarnings(request(nil), ScopeNamespaced); have != nil {
		t.Errorf("warnings about a kind that is served: %q", have)
	}
	have := RemediationRequestWarnings(request(nil), ScopeUnknown)
	if len(have) != 1 || !strings.Contains(have[0], "does not serve kind Deployment of apps/v1") {
		t.Errorf("warnings about an unknown kind: %q", have)
	}
}

package admission

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/test/cluster"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

// statusOf is the resource of a row for one identity, in the namespace of the fixture if the kind has namespaces.
func statusOf(config *rest.Config, row statusguard.Row) dynamic.ResourceInterface {
	GinkgoHelper()
	config = rest.CopyConfig(config)
	config.QPS = -1
	c, err := dynamic.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	resource := c.Resource(schema.GroupVersionResource{Group: row.Group, Version: row.Version, Resource: row.Resource})
	if row.Resource == "safetypolicies" || row.Resource == "playbooks" {
		return resource
	}
	return resource.Namespace(workNamespace)
}

// write is one way to write a status.
type write struct {
	name string
	do   func(context.Context, dynamic.ResourceInterface, statusguard.Row, *unstructured.Unstructured) error
}

func writes() []write {
	const status = "status"
	options := metav1.PatchOptions{FieldManager: "attack"}
	return []write{
		{"PUT", func(ctx context.Context, r dynamic.ResourceInterface, _ statusguard.Row, current *unstructured.Unstructured) error {
			changed := current.DeepCopy()
			if err := unstructured.SetNestedField(changed.Object, int64(1), status, "observedGeneration"); err != nil {
				return err
			}
			_, err := r.UpdateStatus(ctx, changed, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		}},
		{"merge patch", func(ctx context.Context, r dynamic.ResourceInterface, _ statusguard.Row, _ *unstructured.Unstructured) error {
			_, err := r.Patch(ctx, fixture, types.MergePatchType, []byte(`{"status":{"observedGeneration":1}}`), options, status)
			return err
		}},
		{"JSON patch", func(ctx context.Context, r dynamic.ResourceInterface, _ statusguard.Row, _ *unstructured.Unstructured) error {
			_, err := r.Patch(ctx, fixture, types.JSONPatchType, []byte(`[{"op":"add","path":"/status","value":{"observedGeneration":1}}]`), options, status)
			return err
		}},
		{"server-side apply", func(ctx context.Context, r dynamic.ResourceInterface, row statusguard.Row, _ *unstructured.Unstructured) error {
			text := fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":%q},"status":{"observedGeneration":1}}`, row.Group+"/"+row.Version, row.Kind, fixture)
			applied := options
			applied.Force = new(true)
			_, err := r.Patch(ctx, fixture, types.ApplyPatchType, []byte(text), applied, status)
			return err
		}},
	}
}

var controllersGranted bool

// grantControllers lets every controller account write every status and create what it likes, as far as RBAC goes.
func grantControllers(ctx context.Context) {
	GinkgoHelper()
	if controllersGranted {
		return
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "test-all-status"}}
	for _, row := range statusguard.Rows() {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{
			APIGroups: []string{row.Group}, Resources: []string{row.Resource, row.Resource + "/status"}, Verbs: []string{"get", "create", "update", "patch"},
		})
	}
	Expect(admin.Create(ctx, role)).To(Succeed())
	var subjects []rbacv1.Subject
	for _, account := range identity.Controllers() {
		subjects = append(subjects, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: operatorNamespace})
	}
	bind(ctx, role.Name, subjects...)
	controllersGranted = true
	config, err := cluster.TokenConfig(adminConfig, operatorNamespace, identity.Controllers()[len(identity.Controllers())-1])
	Expect(err).NotTo(HaveOccurred())
	row := statusguard.Rows()[0]
	Eventually(func() error {
		_, err := statusOf(config, row).Get(ctx, fixture, metav1.GetOptions{})
		return err
	}).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())
}

// refusal is the message of admission.md.
func refusal(row statusguard.Row, user string) string {
	return fmt.Sprintf("%s/status is written only by %s; you are %s. %s", row.Resource, identity.Username(operatorNamespace, row.Writer), user, row.Closing)
}

var _ = Describe("The status guard", Ordered, func() {
	var identities map[string]*rest.Config // by user name

	BeforeAll(func(ctx SpecContext) {
		grantControllers(ctx)
		identities = map[string]*rest.Config{}
		for _, account := range identity.Controllers() {
			config, err := cluster.TokenConfig(adminConfig, operatorNamespace, account)
			Expect(err).NotTo(HaveOccurred())
			identities[identity.Username(operatorNamespace, account)] = config
		}
	})

	// everyoneElse tries every way to write the status of a kind with every identity that may not.
	everyoneElse := func(ctx context.Context, row statusguard.Row) {
		GinkgoHelper()
		current, err := statusOf(adminConfig, row).Get(ctx, fixture, metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		writer := identity.Username(operatorNamespace, row.Writer)
		attempts := 0
		try := func(user string, config *rest.Config) {
			for _, write := range writes() {
				By(fmt.Sprintf("%s by %s on %s", write.name, user, row.Resource))
				err := write.do(ctx, statusOf(config, row), row, current)
				Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
				Expect(err).To(MatchError(ContainSubstring(refusal(row, user))))
				attempts++
			}
		}
		for user, config := range identities {
			if user != writer {
				try(user, config)
			}
		}
		try(whoAmI(ctx, adminConfig), adminConfig)
		Expect(attempts).To(Equal(len(identity.Controllers()) * len(writes())))
	}

	for _, row := range statusguard.Rows() {
		It("refuses everyone but the writer of "+row.Resource, func(ctx SpecContext) { everyoneElse(ctx, row) })

		It("lets the writer of "+row.Resource+" pass with its own token, and nobody in its name", func(ctx SpecContext) {
			current, err := statusOf(adminConfig, row).Get(ctx, fixture, metav1.GetOptions{})
			Expect(err).NotTo(HaveOccurred())
			config := identities[identity.Username(operatorNamespace, row.Writer)]
			impersonated := cluster.Impersonated(adminConfig, operatorNamespace, row.Writer)
			for _, write := range writes() {
				Expect(write.do(ctx, statusOf(config, row), row, current)).To(Succeed(), write.name)
				current, err = statusOf(adminConfig, row).Get(ctx, fixture, metav1.GetOptions{})
				Expect(err).NotTo(HaveOccurred())

				err := write.do(ctx, statusOf(impersonated, row), row, current)
				Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
				Expect(err).To(MatchError(ContainSubstring("impersonated requests may not write %s/status, not even as %s",
					row.Resource, identity.Username(operatorNamespace, row.Writer))), write.name)
			}
		})
	}

	It("is not asked where RBAC already says no", func(ctx SpecContext) {
		config, err := cluster.TokenConfig(adminConfig, operatorNamespace, identity.Action(shared.ActionScaleDeployment))
		Expect(err).NotTo(HaveOccurred())
		row := statusguard.Rows()[0]
		for _, write := range writes() {
			err := write.do(ctx, statusOf(config, row), row, &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": row.Group + "/" + row.Version, "kind": row.Kind, "metadata": map[string]any{"name": fixture},
			}})
			Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
			Expect(err).To(MatchError(ContainSubstring(`cannot`)))
			Expect(err).NotTo(MatchError(ContainSubstring("is written only by")))
		}
	})

	It("holds when the webhook configurations were deleted, and when nobody answers them", func(ctx SpecContext) {
		webhooksGone(ctx, func() {
			for _, row := range statusguard.Rows() {
				everyoneElse(ctx, row)
			}
		})
		deleteWebhooks(ctx)
		defer webhooksBack(ctx)
		for _, row := range statusguard.Rows() {
			everyoneElse(ctx, row)
		}
	})
})

// whoAmI is the user name of a member of system:masters.
func whoAmI(ctx context.Context, config *rest.Config) string {
	GinkgoHelper()
	c, err := kubernetes.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	review, err := c.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	Expect(review.Status.UserInfo.Groups).To(ContainElement("system:masters"))
	return review.Status.UserInfo.Username
}

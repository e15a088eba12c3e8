package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"
)

const (
	// fieldManager is who owns what the manifests set. What others add, such as an injected CA, stays theirs.
	fieldManager = "kubernaut-install"

	establishTimeout = 30 * time.Second
	policyTimeout    = 30 * time.Second
	pollInterval     = 100 * time.Millisecond
)

// Options say what is installed, and where the API server finds the webhooks.
type Options struct {
	// Root is the root of the checkout that the manifests come from.
	Root string
	// Manifests is a file of rendered manifests to apply instead of config/local.
	Manifests string
	// WebhookURL is where a manager outside of the cluster serves its webhooks, such as https://localhost:9443. Without it the
	// webhooks are called through their Service.
	WebhookURL string
	// Out gets one line for each folder that was applied; nil for none.
	Out io.Writer
}

// Install applies config/local, and returns when the kinds are served and the policies refuse. Doing it again changes only
// what has changed in the manifests; certificates in the Secret and CAs in the webhook configurations stay.
func Install(ctx context.Context, config *rest.Config, options Options) error {
	applier, err := newApplier(config, options.WebhookURL)
	if err != nil {
		return err
	}
	folders := []string{options.Manifests}
	if options.Manifests == "" {
		if folders, err = resources(filepath.Join(options.Root, "config", "local")); err != nil {
			return err
		}
	}
	for _, folder := range folders {
		count, err := applier.applyFolder(ctx, folder)
		if err != nil {
			return err
		}
		if options.Out != nil {
			fmt.Fprintf(options.Out, "%s: %d objects applied\n", filepath.Base(folder), count)
		}
	}
	return applier.guarded(ctx)
}

// ApplyFolder applies the objects of a folder: those that its kustomization lists, or, without one, those of all its YAML files.
func ApplyFolder(ctx context.Context, config *rest.Config, folder string) error {
	applier, err := newApplier(config, "")
	if err != nil {
		return err
	}
	_, err = applier.applyFolder(ctx, folder)
	return err
}

type applier struct {
	client     dynamic.Interface
	mapper     meta.RESTMapper
	webhookURL string
}

func newApplier(config *rest.Config, webhookURL string) (*applier, error) {
	// A local API server is not protected from us by waiting.
	config = rest.CopyConfig(config)
	config.QPS = -1
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, httpClient)
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, err
	}
	return &applier{client: client, mapper: mapper, webhookURL: strings.TrimSuffix(webhookURL, "/")}, nil
}

func (a *applier) applyFolder(ctx context.Context, folder string) (int, error) {
	objects, err := load(folder)
	if err != nil {
		return 0, err
	}
	for _, object := range objects {
		if err := a.apply(ctx, object); err != nil {
			return 0, err
		}
	}
	return len(objects), a.established(ctx, objects)
}

func (a *applier) resource(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := object.GroupVersionKind()
	mapping, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return a.client.Resource(mapping.Resource).Namespace(object.GetNamespace()), nil
	}
	return a.client.Resource(mapping.Resource), nil
}

// apply is a server-side apply that refuses unknown fields. It takes fields over from whoever applied them before.
func (a *applier) apply(ctx context.Context, object *unstructured.Unstructured) error {
	if a.webhookURL != "" {
		if err := callByURL(object, a.webhookURL); err != nil {
			return err
		}
	}
	resource, err := a.resource(object)
	if err != nil {
		return err
	}
	data, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	_, err = resource.Patch(ctx, object.GetName(), types.ApplyPatchType, data, metav1.PatchOptions{
		FieldManager: fieldManager, Force: new(true), FieldValidation: metav1.FieldValidationStrict,
	})
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return nil
}

// callByURL makes the API server call the webhooks of a configuration by URL instead of through their Service.
func callByURL(object *unstructured.Unstructured, base string) error {
	if !strings.HasSuffix(object.GetKind(), "WebhookConfiguration") {
		return nil
	}
	hooks, _, err := unstructured.NestedSlice(object.Object, "webhooks")
	if err != nil {
		return err
	}
	for i, hook := range hooks {
		fields, is := hook.(map[string]any)
		if !is {
			return fmt.Errorf("webhook %d of %s is no object", i, object.GetName())
		}
		path, _, err := unstructured.NestedString(fields, "clientConfig", "service", "path")
		if err != nil {
			return err
		}
		fields["clientConfig"] = map[string]any{"url": base + path}
	}
	return unstructured.SetNestedSlice(object.Object, hooks, "webhooks")
}

// established waits until the API server serves every CRD among the objects.
func (a *applier) established(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		if object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		resource, err := a.resource(object)
		if err != nil {
			return err
		}
		conditions := "none"
		err = wait.PollUntilContextTimeout(ctx, pollInterval, establishTimeout, true, func(ctx context.Context) (bool, error) {
			crd, err := resource.Get(ctx, object.GetName(), metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			list, _, err := unstructured.NestedSlice(crd.Object, "status", "conditions")
			conditions = fmt.Sprint(list)
			for _, condition := range list {
				fields, is := condition.(map[string]any)
				if is && fields["type"] == "Established" && fields["status"] == "True" {
					return true, nil
				}
			}
			return false, err
		})
		if err != nil {
			return fmt.Errorf("the API server does not serve %s (conditions: %s): %w", object.GetName(), conditions, err)
		}
	}
	return nil
}

// guarded waits until the admission policies take effect, some seconds after they were created. It tries, as a dry run, to
// create what the creation guard refuses, of a kind without a mutating webhook. The API server reads policies in the order in which
// they were created and compiles all that it has at once: when this one refuses, so do the others, which were applied before it.
func (a *applier) guarded(ctx context.Context) error {
	probe := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "remediationprocessing.kubernaut.io/v1", "kind": "RemediationProcessing",
		"metadata": map[string]any{"generateName": "install-probe-", "namespace": metav1.NamespaceDefault},
		"spec": map[string]any{
			"remediationRequestRef": map[string]any{"name": "none", "uid": "00000000-0000-0000-0000-000000000000"},
			"signalContext":         map[string]any{"name": "none"},
			"target":                map[string]any{"apiVersion": "v1", "kind": "Pod", "name": "none", "namespace": metav1.NamespaceDefault},
		},
	}}
	resource := a.client.Resource(schema.GroupVersionResource{
		Group: "remediationprocessing.kubernaut.io", Version: "v1", Resource: "remediationprocessings",
	}).Namespace(metav1.NamespaceDefault)
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, policyTimeout, true, func(ctx context.Context) (bool, error) {
		_, last = resource.Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsForbidden(last) && strings.Contains(last.Error(), "ValidatingAdmissionPolicy"), nil
	})
	if err != nil {
		return fmt.Errorf("the admission policies took no effect; the last answer to a request that they refuse was %q: %w", fmt.Sprint(last), err)
	}
	return nil
}

// kustomization is all that our kustomizations use; anything else is an error, so that this and kustomize agree.
type kustomization struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Resources  []string `json:"resources"`
}

// resources are the paths that the kustomization of a folder lists, or, without one, its YAML files.
func resources(folder string) ([]string, error) {
	path := filepath.Join(folder, "kustomization.yaml")
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return filepath.Glob(filepath.Join(folder, "*.yaml"))
	}
	if err != nil {
		return nil, err
	}
	var content kustomization
	if err := yaml.UnmarshalStrict(data, &content); err != nil {
		return nil, fmt.Errorf("%s: only resources are supported here: %w", path, err)
	}
	paths := make([]string, 0, len(content.Resources))
	for _, resource := range content.Resources {
		paths = append(paths, filepath.Join(folder, resource))
	}
	return paths, nil
}

// load reads the objects of a file, or of all that the kustomization of a folder lists, in that order.
func load(path string) ([]*unstructured.Unstructured, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return parse(path)
	}
	paths, err := resources(path)
	if err != nil {
		return nil, err
	}
	var all []*unstructured.Unstructured
	for _, path := range paths {
		objects, err := load(path)
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	return all, nil
}

func parse(path string) ([]*unstructured.Unstructured, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), len(data)+1); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/config/crd"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/webhooks/rules"
)

const workflowCRD = "bases/workflowexecution.kubernaut.io_workflowexecutions.yaml"

// readFile reads a file, or standard input for -.
func readFile(in io.Reader, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(in)
	}
	return os.ReadFile(name)
}

// readWorkflow reads the WorkflowExecution of a manifest, completed as the API server does.
func readWorkflow(in io.Reader, name string) (*workflowexecutionv1.WorkflowExecution, error) {
	text, err := readFile(in, name)
	if err != nil {
		return nil, err
	}
	var found []map[string]any
	for _, document := range yamlDocuments(text) {
		var object map[string]any
		if err := yaml.Unmarshal(document, &object); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if object["kind"] == "WorkflowExecution" {
			found = append(found, object)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%s: it holds %s; one is needed, of kind WorkflowExecution", name, terminal.Count(len(found), "workflow"))
	}
	workflow, err := decodeWorkflow(found[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return workflow, nil
}

// yamlDocuments are the documents of a YAML file, which lines of --- separate.
func yamlDocuments(text []byte) [][]byte {
	var documents [][]byte
	var current bytes.Buffer
	for line := range bytes.Lines(text) {
		if string(bytes.TrimRight(line, " \r\n")) == "---" {
			documents = append(documents, slices.Clone(current.Bytes()))
			current.Reset()
			continue
		}
		current.Write(line)
	}
	return append(documents, current.Bytes())
}

func decodeWorkflow(object map[string]any) (*workflowexecutionv1.WorkflowExecution, error) {
	if want := workflowexecutionv1.GroupVersion.String(); object["apiVersion"] != want {
		return nil, fmt.Errorf("apiVersion: %v is not %s", object["apiVersion"], want)
	}
	schema, err := workflowSchema()
	if err != nil {
		return nil, err
	}
	complete(object, schema)
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var workflow workflowexecutionv1.WorkflowExecution
	if err := yaml.UnmarshalStrict(text, &workflow); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "error unmarshaling JSON: while decoding JSON: "))
	}
	definition := workflow.Spec.WorkflowDefinition
	if definition == nil || len(definition.Steps) == 0 {
		return nil, errors.New("spec.workflowDefinition.steps: there is no step to judge")
	}
	path := field.NewPath("spec", "workflowDefinition")
	errs := rules.ValidateDefinition(definition, path)
	for i := range definition.Steps {
		errs = append(errs, validateUnion(&definition.Steps[i].Action, path.Child("steps").Index(i).Child("action"))...)
	}
	return &workflow, errs.ToAggregate()
}

// validateUnion checks what a rule of the CRD does: that an action has the member which its type names, and no other.
func validateUnion(action *shared.Action, path *field.Path) field.ErrorList {
	if _, known := actions.Get(action.Type); !known {
		return field.ErrorList{field.NotSupported(path.Child("type"), action.Type, shared.ActionTypes())}
	}
	text, err := json.Marshal(action)
	if err != nil {
		return field.ErrorList{field.InternalError(path, err)}
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		return field.ErrorList{field.InternalError(path, err)}
	}
	want := member(action.Type)
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if name != "type" && name != want {
			errs = append(errs, field.Forbidden(path.Child(name), fmt.Sprintf("the type is %s: its parameters are %s", action.Type, want)))
		}
	}
	if members[want] == nil {
		errs = append(errs, field.Required(path.Child(want), fmt.Sprintf("the parameters of %s", action.Type)))
	}
	return errs
}

// member is the member of the union that a type names: scaleDeployment for scale-deployment.
func member(actionType shared.ActionType) string {
	words := strings.Split(string(actionType), "-")
	for i, word := range words {
		if i > 0 && word != "" {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return strings.Join(words, "")
}

func workflowSchema() (*apiextensionsv1.JSONSchemaProps, error) {
	text, err := crd.FS.ReadFile(workflowCRD)
	if err != nil {
		return nil, err
	}
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &definition); err != nil {
		return nil, fmt.Errorf("%s: %w", workflowCRD, err)
	}
	for _, version := range definition.Spec.Versions {
		if version.Name == workflowexecutionv1.GroupVersion.Version && version.Schema != nil {
			return version.Schema.OpenAPIV3Schema, nil
		}
	}
	return nil, fmt.Errorf("%s: there is no schema of version %s", workflowCRD, workflowexecutionv1.GroupVersion.Version)
}

// complete sets the defaults of a schema, as the API server does: those of an object first, then those of what it holds.
func complete(value any, schema *apiextensionsv1.JSONSchemaProps) {
	switch value := value.(type) {
	case map[string]any:
		for name, property := range schema.Properties {
			if _, given := value[name]; !given && property.Default != nil {
				var standard any
				if err := json.Unmarshal(property.Default.Raw, &standard); err == nil {
					value[name] = standard
				}
			}
			if given, is := value[name]; is {
				complete(given, &property)
			}
		}
		if additional := schema.AdditionalProperties; additional != nil && additional.Schema != nil {
			for _, element := range value {
				complete(element, additional.Schema)
			}
		}
	case []any:
		if schema.Items != nil && schema.Items.Schema != nil {
			for _, element := range value {
				complete(element, schema.Items.Schema)
			}
		}
	}
}

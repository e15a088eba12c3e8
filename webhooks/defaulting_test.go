package webhooks

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

func TestStoredForm(t *testing.T) {
	for name, test := range map[string]struct{ given, want string }{
		"durations take the form of Go": {
			given: `{"metadata":{"name":"x"},"spec":{"ttlAfterFinished":"1440m"}}`,
			want:  `{"metadata":{"name":"x"},"spec":{"ttlAfterFinished":"24h0m0s"}}`,
		},
		"what is empty is left out": {
			given: `{"metadata":{"name":"x","annotations":{}},"spec":{"cancel":"","workflowDefinition":{"name":"w","steps":[{"name":"a","dependsOn":[]}]}}}`,
			want:  `{"metadata":{"name":"x","annotations":{}},"spec":{"workflowDefinition":{"name":"w","steps":[{"name":"a"}]}}}`,
		},
		"a field of a newer version is kept": {
			given: `{"metadata":{"name":"x"},"spec":{"shiny":{"a":1},"workflowDefinition":{"name":"w","steps":[{"name":"a","glow":true}]}}}`,
			want:  `{"metadata":{"name":"x"},"spec":{"shiny":{"a":1},"workflowDefinition":{"name":"w","steps":[{"name":"a","glow":true}]}}}`,
		},
		"false stays where it says something": {
			given: `{"metadata":{"name":"x"},"spec":{"suspend":false}}`,
			want:  `{"metadata":{"name":"x"},"spec":{"suspend":false}}`,
		},
		"the status is left alone": {
			given: `{"metadata":{"name":"x"},"spec":{},"status":{"anything":[]}}`,
			want:  `{"metadata":{"name":"x"},"spec":{},"status":{"anything":[]}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			object := &workflowexecutionv1.WorkflowExecution{}
			if err := json.Unmarshal([]byte(test.given), object); err != nil {
				t.Fatal(err)
			}
			changes, err := toStoredForm([]byte(test.given), object)
			if err != nil {
				t.Fatal(err)
			}
			patch, err := json.Marshal(changes)
			if err != nil {
				t.Fatal(err)
			}
			var given, wantValue any
			if err := json.Unmarshal([]byte(test.given), &given); err != nil {
				t.Fatal(err)
			}
			haveValue := any(patched(t, given.(map[string]any), patch)) //nolint:errcheck,forcetypeassert // the table holds objects
			if err := json.Unmarshal([]byte(test.want), &wantValue); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wantValue, haveValue); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
	}
}

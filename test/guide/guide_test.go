package guide

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	text := "Before.\n<!-- scene: shop -->\n<!-- exit: 1 -->\n```sh\nkubernaut get\n```\n<!-- order: any -->\n```text\nNAME\n```\n1. In a list:\n   <!-- file: a.yaml -->\n   ```yaml\n   a: b\n   ```\n"
	want := []Block{
		{Line: 4, Language: "sh", Text: "kubernaut get\n", Exit: 1, Scene: "shop"},
		{Line: 8, Language: "text", Text: "NAME\n", AnyOrder: true},
		{Line: 13, Language: "yaml", Text: "a: b\n", File: "a.yaml"},
	}
	if diff := cmp.Diff(want, Read(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSteady(t *testing.T) {
	for name, test := range map[string]struct{ one, other string }{
		"a table":    {one: "wfe/a   failed   0/1     2m3s    the gate\n", other: "wfe/a   failed   0/1     9s      the gate\n"},
		"a tree":     {one: "└─ wfe/a  completed  Success  4s\n", other: "└─ wfe/a  completed  Success  112ms\n"},
		"a story":    {one: "Saturday, 28 November 2026 (UTC)\n00:22:53  wfe/a  planned", other: "Sunday, 1 March 2027 (CET)\n11:22:53  wfe/a  planned"},
		"a decision": {one: "decision 01a21f81-166e-79ff-8cdc-cb6dd15c71bd", other: "decision 02a21f81-166e-79ff-8cdc-cb6dd15c71be"},
	} {
		if diff := cmp.Diff(Steady(test.one), Steady(test.other)); diff != "" {
			t.Errorf("%s: (-one +other):\n%s", name, diff)
		}
	}
	for name, test := range map[string]struct{ one, other string }{
		"another phase":    {one: "wfe/a  failed  3s", other: "wfe/a  completed  3s"},
		"another sentence": {one: "healthy; it counts after 15s", other: "healthy; it counts after 1s"},
	} {
		if Steady(test.one) == Steady(test.other) {
			t.Errorf("%s is not seen", name)
		}
	}
}

package authoring

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPages(t *testing.T) {
	set := loadFolder(t, map[string]string{
		"data.yaml": quietParameters,
		"quiet.rego": strings.Replace(quietPolicy, "# METADATA\n", "# METADATA\n# title: Quiet hours\n# description: |\n#   Nothing is changed\n#   where people sleep.\n", 1) +
			"\n# METADATA\n# description: Two people | agree.\nrequire_approval contains msg if {\n\tnot is_permitted\n\tmsg := \"x\"\n}\n",
		"quiet_test.rego": "package kubernaut.safety.quiet_test\n\ntest_night_is_quiet if true\n",
	})
	pages, err := set.Pages()
	if err != nil {
		t.Fatal(err)
	}
	want := []Page{{Name: "quiet", Title: "Quiet hours", Text: `# Quiet hours

Nothing is changed
where people sleep.

| | |
|---|---|
| policy | ` + "`quiet`" + ` |
| enforcement | Enforce |
| stages | plan, step |

## Parameters

| name | default | |
|---|---|---|
| ` + "`namespaces` | `[\"night\"]`" + ` | Where nothing is changed. |

## Rules

| rule | code | |
|---|---|---|
| deny | ` + "`quiet`" + ` | nothing is changed here |
| require_approval |  | Two people \| agree. |

## What its tests show

- night is quiet
`}}
	if diff := cmp.Diff(want, pages); diff != "" {
		t.Error(diff)
	}
	if pages, err := loadBaseline(t).Pages(); err != nil || len(pages) == 0 {
		t.Errorf("the baseline has %d pages: %v", len(pages), err)
	}
}

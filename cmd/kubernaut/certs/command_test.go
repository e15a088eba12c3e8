package certs

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kubernaut.io/kubernaut/webhooks/certs"
)

func TestTheTable(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	report := &certs.Report{
		Origin: certs.OriginCertManager, From: "Secret kubernaut-system/kubernaut-webhook-certs",
		Chain: []certs.Link{
			{Issuer: "CN=ca", Serial: "1a", DNSNames: []string{"kubernaut-webhook.kubernaut-system.svc"}, NotAfter: now.Add(90 * 24 * time.Hour)},
			{Subject: "CN=ca", Issuer: "CN=ca", Serial: "2", Authority: true, NotAfter: now.Add(-time.Hour)},
		},
		Webhooks: []certs.Trust{
			{Configuration: "MutatingWebhookConfiguration kubernaut", Webhook: "default.x", Host: "kubernaut-webhook.kubernaut-system.svc", Trusted: true},
			{Configuration: "ValidatingWebhookConfiguration kubernaut", Webhook: "validate.x", Host: "kubernaut-webhook.kubernaut-system.svc"},
		},
		Problems: []string{"something is wrong"},
	}
	want := `From cert-manager: Secret kubernaut-system/kubernaut-webhook-certs
For kubernaut-webhook.kubernaut-system.svc

CERTIFICATE   ISSUED BY  SERIAL  EXPIRES
(no subject)  CN=ca      1a      2027-01-30T00:00:00Z (in 90 days)
CN=ca         CN=ca      2       2026-10-31T23:00:00Z (expired)

CONFIGURATION                             WEBHOOK     CALLED AS                               CA
MutatingWebhookConfiguration kubernaut    default.x   kubernaut-webhook.kubernaut-system.svc  trusted
ValidatingWebhookConfiguration kubernaut  validate.x  kubernaut-webhook.kubernaut-system.svc  NOT TRUSTED

Wrong:
- something is wrong
`
	var out bytes.Buffer
	if err := write(&out, report, formatText, now); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	out.Reset()
	if err := write(&out, report, formatJSON, now); err != nil {
		t.Fatal(err)
	}
	var back certs.Report
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(report, &back); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

func TestWrongUse(t *testing.T) {
	for name, args := range map[string][]string{
		"an unknown form":   {"status", "-o", "yaml"},
		"an unknown origin": {"status", "--webhook-certs", "magic"},
		"an argument":       {"status", "now"},
		"no such cluster":   {"status", "--kubeconfig", "/does/not/exist"},
	} {
		command := NewCommand()
		command.SilenceUsage, command.SilenceErrors = true, true
		command.SetOut(&bytes.Buffer{})
		command.SetArgs(args)
		if err := command.ExecuteContext(t.Context()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

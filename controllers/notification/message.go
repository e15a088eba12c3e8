package notification

import (
	"fmt"
	"strings"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// Message is what is posted, as JSON: text alone says everything, for sinks that know nothing of blocks.
type Message struct {
	Text   string  `json:"text"`
	Blocks []Block `json:"blocks,omitempty"`
}

// Block is one block of Slack's Block Kit.
type Block struct {
	Type   string `json:"type"`
	Text   *Text  `json:"text,omitempty"`
	Fields []Text `json:"fields,omitempty"`
}

// Text is a text object of Slack's Block Kit.
type Text struct {
	Type string `json:"type"`
	Text string `json:"text"`
	// Verbatim keeps names that look like addresses from becoming links.
	Verbatim bool `json:"verbatim,omitempty"`
}

// What Slack takes.
const (
	longestHeader = 150
	longestBody   = 3000
	longestField  = 2000
)

// messageOf is what people are told of a request that was escalated. Signals and failures come from outside: none of their text
// may call people or hide behind a link.
func messageOf(request *remediationv1.RemediationRequest) Message {
	status, spec := &request.Status, &request.Spec
	title := "A person must go on with " + spec.Target.String()
	recoveries := fmt.Sprintf("%d", status.RecoveryAttempts)
	if most := status.MaxRecoveryAttempts; most != nil {
		recoveries += fmt.Sprintf(" of at most %d", *most)
	}
	return Message{
		Text: escaped(fmt.Sprintf("%s (RemediationRequest %s/%s, %s): %s",
			title, request.Namespace, request.Name, status.Outcome, status.EscalationReason)),
		Blocks: []Block{
			{Type: "header", Text: &Text{Type: "plain_text", Text: machinery.Cut(title, longestHeader)}},
			{Type: "section", Text: marked(status.EscalationReason, longestBody)},
			{Type: "section", Fields: []Text{
				field("Request", request.Namespace+"/"+request.Name), field("Outcome", string(status.Outcome)),
				field("Signal", spec.SignalContext.Name), field("Severity", string(spec.SignalContext.Severity)),
				field("Recoveries", recoveries), field("Asked for by", spec.RequestedBy.Username),
			}},
		},
	}
}

func field(name, value string) Text {
	return *marked("*"+name+"*\n"+value, longestField)
}

func marked(text string, limit int) *Text {
	return &Text{Type: "mrkdwn", Text: machinery.Cut(escaped(text), limit), Verbatim: true}
}

// escaped replaces the characters with which Slack's links and mentions begin and end.
func escaped(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

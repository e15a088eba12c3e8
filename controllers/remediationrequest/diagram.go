package remediationrequest

// Diagram draws the phases and what may follow each, in Mermaid, for the page about the kind.
func Diagram() string { return transitions().Diagram() }

package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode/utf8"
)

// auditEvent is what the demo reads of an event of audit.k8s.io/v1.
type auditEvent struct {
	Stage      string `json:"stage"`
	RequestURI string `json:"requestURI"`
	Verb       string `json:"verb"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	ImpersonatedUser *struct {
		Username string `json:"username"`
	} `json:"impersonatedUser"`
	ObjectRef *struct {
		Resource    string `json:"resource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
		APIGroup    string `json:"apiGroup"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	ResponseStatus *struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// write is one request that was to change something.
type write struct {
	User, Verb, Resource, Subresource, Object string
	// Code is the HTTP code of a refusal, 0 for success.
	Code   int
	DryRun bool
}

const deployments = "deployments"

// changes says whether the write changed the Deployment of that name, and not just its status.
func (w write) changes(deployment string) bool {
	return w.Resource == deployments && w.Object == deployment && w.Subresource == "" && !w.DryRun && w.Code == 0
}

// concern is what writes are looked for: on Kubernaut's kinds in the namespace, and on the Deployment and the pod there.
type concern struct{ namespace, deployment, pod string }

// auditSize is where the audit log ends now.
func auditSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// readAudit reads the writes that the audit log has behind offset.
func readAudit(path string, offset int64, of concern) ([]write, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if size, err := auditSize(path); err == nil && size < offset {
		return nil, fmt.Errorf("%s was cut off since the demo began", path)
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	writes, err := parseAudit(file, of)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return writes, nil
}

func parseAudit(r io.Reader, of concern) ([]write, error) {
	var writes []write
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return writes, nil // a line without an end is still being written
		}
		if err != nil {
			return nil, err
		}
		var event auditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("not an audit event: %w", err)
		}
		if of.covers(&event) {
			writes = append(writes, event.write())
		}
	}
}

// covers says whether the event is a finished request that was to write something of concern.
func (c concern) covers(e *auditEvent) bool {
	if e.Stage != "ResponseComplete" || e.ObjectRef == nil || e.ObjectRef.Namespace != c.namespace {
		return false
	}
	switch e.Verb {
	case "get", "list", "watch":
		return false
	}
	ours := strings.HasSuffix(e.ObjectRef.APIGroup, ".kubernaut.io")
	return ours || e.ObjectRef.Resource == deployments && e.ObjectRef.Name == c.deployment ||
		e.ObjectRef.Resource == "pods" && e.ObjectRef.Name == c.pod && c.pod != ""
}

func (e *auditEvent) write() write {
	w := write{
		User: e.User.Username, Verb: e.Verb, Resource: e.ObjectRef.Resource, Subresource: e.ObjectRef.Subresource, Object: e.ObjectRef.Name,
	}
	if e.ImpersonatedUser != nil {
		w.User = e.ImpersonatedUser.Username
	}
	if e.ResponseStatus != nil && e.ResponseStatus.Code >= http.StatusBadRequest {
		w.Code = e.ResponseStatus.Code
	}
	if uri, err := url.ParseRequestURI(e.RequestURI); err == nil {
		w.DryRun = uri.Query().Has("dryRun")
	}
	return w
}

// shortUser is the name of a ServiceAccount without what all of the operator's, or of the control plane's, have in common.
func shortUser(user string) string {
	name, isAccount := strings.CutPrefix(user, "system:serviceaccount:")
	if !isAccount {
		return user
	}
	for _, known := range []string{"kubernaut-system:", "kube-system:"} {
		if account, ok := strings.CutPrefix(name, known); ok {
			return account
		}
	}
	return name
}

// whoDidWhat is a table of writes: equal ones are one line, with their number, in the order of the first. Of names that continue
// the given one only the rest is shown.
func whoDidWhat(writes []write, known string) []string {
	type row struct {
		write
		times int
	}
	var rows []*row
	seen, refused := map[write]*row{}, false
	for _, w := range writes {
		r, ok := seen[w]
		if !ok {
			r = &row{write: w}
			seen[w] = r
			rows = append(rows, r)
		}
		r.times++
		refused = refused || w.Code != 0
	}
	cells := [][]string{{"", "identity", "did", "what", "object", ""}}
	for _, r := range rows {
		object := cmp.Or(r.Object, "(all)")
		if rest, ok := strings.CutPrefix(object, known+"-"); ok {
			object = "…-" + rest
		}
		cells = append(cells, []string{fmt.Sprintf("%d×", r.times), shortUser(r.User), r.did(), r.what(), object, r.answer()})
	}
	lines := align(cells)
	if refused {
		lines = append(lines, "  A number at the end is the code of a refusal: nothing was written (409: someone else was faster).")
	}
	return lines
}

func (w write) did() string {
	if w.DryRun {
		return "dry run"
	}
	return w.Verb
}

func (w write) what() string {
	if w.Subresource == "" {
		return w.Resource
	}
	return w.Resource + "/" + w.Subresource
}

func (w write) answer() string {
	if w.Code == 0 {
		return ""
	}
	return fmt.Sprint(w.Code)
}

// align makes columns; the object gives way when a line would be too wide.
func align(cells [][]string) []string {
	const (
		inset  = "  "
		gaps   = 6
		number = 0
		object = 4
		answer = 5
	)
	widths := make([]int, answer+1)
	for _, row := range cells {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	room := pageWidth - len(inset) - gaps
	for i, width := range widths {
		if i != object {
			room -= width
		}
	}
	widths[object] = max(1, min(widths[object], room))
	lines := make([]string, len(cells))
	for i, row := range cells {
		lines[i] = inset + strings.Repeat(" ", widths[number]-utf8.RuneCountInString(row[number])) + row[number] + " " + pad(row[1], widths[1]) +
			"  " + pad(row[2], widths[2]) + " " + pad(row[3], widths[3]) + " " + pad(tail(row[object], widths[object]), widths[object]) + " " + row[answer]
	}
	return lines
}

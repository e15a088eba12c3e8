package cluster

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// TokenOptions say whose token is wanted.
type TokenOptions struct {
	Namespace      string
	ServiceAccount string
	Duration       time.Duration
	// Out is the kubeconfig to write; the token is put beside it.
	Out string
}

// Token writes a kubeconfig whose only credential is a token of the ServiceAccount, as a pod of it would have.
func (d Directory) Token(ctx context.Context, o TokenOptions) error {
	s, err := d.load()
	if err != nil {
		return err
	}
	client, err := d.client(s.Ports)
	if err != nil {
		return err
	}
	token, err := client.requestToken(ctx, o)
	if err != nil {
		return fmt.Errorf("token of ServiceAccount %s/%s: %w", o.Namespace, o.ServiceAccount, err)
	}
	tokenFile, err := filepath.Abs(strings.TrimSuffix(o.Out, ".kubeconfig") + ".token")
	if err != nil {
		return err
	}
	if err := replaceFile(tokenFile, []byte(token)); err != nil {
		return err
	}
	ca, err := os.ReadFile(d.cert("ca"))
	if err != nil {
		return err
	}
	return newKubeconfig(secureURL(s.Ports.APIServer), ca, o.ServiceAccount, o.Namespace, credential{TokenFile: tokenFile}).write(o.Out)
}

func (a *api) requestToken(ctx context.Context, o TokenOptions) (string, error) {
	path := fmt.Sprintf("/api/v1/namespaces/%s/serviceaccounts/%s/token", url.PathEscape(o.Namespace), url.PathEscape(o.ServiceAccount))
	request := object{
		"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
		"spec": object{"expirationSeconds": int64(o.Duration.Seconds())},
	}
	var answer struct {
		Status struct{ Token string }
	}
	err := a.create(ctx, path, request, &answer)
	return answer.Status.Token, err
}

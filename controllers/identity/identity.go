// Package identity gives each controller, and each action, clients that carry its own ServiceAccount and nothing else.
//
// The model is kube-controller-manager's --use-service-account-credentials; unlike it, an account that does not exist is an
// error: accounts are installed with their roles, never made at run time.
package identity

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/oauth2"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/controllers/machinery"
)

// tokenLifetime is what is asked for; the API server may give less or more. A token is renewed before it expires, and at once
// when the API server refuses it.
const tokenLifetime = time.Hour

// tokenRequestTimeout bounds one TokenRequest, so that a hanging API server cannot hang every writer.
const tokenRequestTimeout = 10 * time.Second

// Issuer obtains tokens for ServiceAccounts of one namespace with the identity of its own configuration.
type Issuer struct {
	// Wrap wraps the transport of every client that is given out, below its credentials; nil wraps nothing. The user agent of a
	// request is the account.
	Wrap transport.WrapperFunc

	base      *rest.Config
	requester kubernetes.Interface
	namespace string
}

// NewIssuer makes an Issuer for the accounts of namespace. The identity in base needs the verb create on
// serviceaccounts/token for each account that is asked for, by name.
func NewIssuer(base *rest.Config, namespace string) (*Issuer, error) {
	requester, err := kubernetes.NewForConfig(base)
	if err != nil {
		return nil, fmt.Errorf("client for token requests: %w", err)
	}
	return &Issuer{base: base, requester: requester, namespace: namespace}, nil
}

// Config is a client configuration that carries only the identity of the account. The first token is requested at once, so
// that a missing account or permission is reported now and not at the first write.
func (i *Issuer) Config(account string) (*rest.Config, error) {
	source := transport.NewCachedTokenSource(&accountTokens{requester: i.requester, namespace: i.namespace, account: account})
	if _, err := source.Token(); err != nil {
		return nil, err
	}
	config := rest.AnonymousClientConfig(i.base)
	config.UserAgent = account
	config.Wrap(i.Wrap)
	config.Wrap(transport.ResettableTokenSourceWrapTransport(source))
	return config, nil
}

// Clients are the clients of the account: cached reads come from cache, whose content is read under another identity.
func (i *Issuer) Clients(account string, scheme *runtime.Scheme, mapper meta.RESTMapper, cache client.Reader) (machinery.Clients, error) {
	config, err := i.Config(account)
	if err != nil {
		return machinery.Clients{}, err
	}
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return machinery.Clients{}, fmt.Errorf("http client of %s: %w", account, err)
	}
	options := client.Options{HTTPClient: httpClient, Scheme: scheme, Mapper: mapper}
	live, err := client.New(config, options)
	if err != nil {
		return machinery.Clients{}, fmt.Errorf("client of %s: %w", account, err)
	}
	options.Cache = &client.CacheOptions{Reader: cache}
	cached, err := client.New(config, options)
	if err != nil {
		return machinery.Clients{}, fmt.Errorf("cached client of %s: %w", account, err)
	}
	return machinery.Clients{Cached: cached, Live: live}, nil
}

// accountTokens requests tokens of one ServiceAccount.
type accountTokens struct {
	requester kubernetes.Interface
	namespace string
	account   string
}

func (a *accountTokens) Token() (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tokenRequestTimeout)
	defer cancel()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(tokenLifetime.Seconds()))}}
	answer, err := a.requester.CoreV1().ServiceAccounts(a.namespace).CreateToken(ctx, a.account, request, metav1.CreateOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("ServiceAccount %s/%s does not exist; apply config/rbac: %w", a.namespace, a.account, err)
	}
	if err != nil {
		return nil, fmt.Errorf("token of ServiceAccount %s/%s: %w", a.namespace, a.account, err)
	}
	return &oauth2.Token{AccessToken: answer.Status.Token, Expiry: answer.Status.ExpirationTimestamp.Time}, nil
}

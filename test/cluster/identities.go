package cluster

import (
	"fmt"

	"k8s.io/client-go/rest"

	"kubernaut.io/kubernaut/controllers/identity"
)

// TokenConfig is a configuration with a real token of a ServiceAccount, as the TokenRequest API gives it to controllers.
func TokenConfig(config *rest.Config, namespace, account string) (*rest.Config, error) {
	issuer, err := identity.NewIssuer(config, namespace)
	if err != nil {
		return nil, err
	}
	return issuer.Config(account)
}

// Impersonated is a configuration that acts as a ServiceAccount on the word of config's user alone.
func Impersonated(config *rest.Config, namespace, account string) *rest.Config {
	impersonated := rest.CopyConfig(config)
	impersonated.Impersonate = rest.ImpersonationConfig{
		UserName: identity.Username(namespace, account),
		Groups:   []string{"system:serviceaccounts", fmt.Sprintf("system:serviceaccounts:%s", namespace), "system:authenticated"},
	}
	return impersonated
}

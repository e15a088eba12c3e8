package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// retryEvery is how long a request waits that found nobody at home.
const retryEvery = 500 * time.Millisecond

// cluster is the connection to the cluster: as an admin, and as whoever plays a part.
type cluster struct {
	config *rest.Config
	scheme *runtime.Scheme
	admin  client.WithWatch
}

func connect(kubeconfig string) (*cluster, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	config.QPS = -1
	config.UserAgent = "kubernaut-demo"
	config.WarningHandler = rest.NoWarnings{}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, remediationv1.AddToScheme, remediationprocessingv1.AddToScheme, aianalysisv1.AddToScheme,
		workflowexecutionv1.AddToScheme, kubernetesexecutionv1.AddToScheme, catalogv1alpha1.AddToScheme, safetyv1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	admin, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("API server at %s: %w", config.Host, err)
	}
	return &cluster{config: config, scheme: scheme, admin: admin}, nil
}

// token is a token of a ServiceAccount.
func (c *cluster) token(ctx context.Context, namespace, account string) (string, error) {
	token := &authenticationv1.TokenRequest{}
	of := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	if err := c.admin.SubResource("token").Create(ctx, of, token); err != nil {
		return "", fmt.Errorf("token of ServiceAccount %s/%s: %w", namespace, account, err)
	}
	return token.Status.Token, nil
}

// as is a client with the identity of a ServiceAccount and no other.
func (c *cluster) as(ctx context.Context, namespace, account string) (client.Client, error) {
	token, err := c.token(ctx, namespace, account)
	if err != nil {
		return nil, err
	}
	config := rest.AnonymousClientConfig(c.config)
	config.BearerToken = token
	config.WarningHandler = rest.NoWarnings{}
	return client.New(config, client.Options{Scheme: c.scheme, Mapper: c.admin.RESTMapper()})
}

// persist repeats a request as long as nobody is there to answer it, the webhooks of a manager that is being restarted for one.
// It says so once.
func (s *stage) persist(ctx context.Context, what string, request func(ctx context.Context) error) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, retryEvery, true, func(ctx context.Context) (bool, error) {
		err := request(ctx)
		if err == nil || !passing(err) {
			return true, err
		}
		if last == nil {
			s.say(note{actor: actorDemo, tone: faint, text: fmt.Sprintf("%s: no answer yet, trying on (%v)", what, err)})
		}
		last = err
		return false, nil
	})
	if wait.Interrupted(err) {
		err = errors.Join(context.Cause(ctx), last)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// passing says whether the same request may succeed later although nobody changes anything about it.
func passing(err error) bool {
	var network net.Error
	return apierrors.IsInternalError(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsTooManyRequests(err) || utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		errors.As(err, &network)
}

package cluster

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
)

// kubeconfig has the few fields we write. JSON is YAML, so no YAML library is needed.
type kubeconfig struct {
	APIVersion     string         `json:"apiVersion"`
	Kind           string         `json:"kind"`
	CurrentContext string         `json:"current-context"`
	Clusters       []namedCluster `json:"clusters"`
	Contexts       []namedContext `json:"contexts"`
	Users          []namedUser    `json:"users"`
}

type namedCluster struct {
	Name    string `json:"name"`
	Cluster struct {
		Server string `json:"server"`
		CA     []byte `json:"certificate-authority-data"`
	} `json:"cluster"`
}

type namedContext struct {
	Name    string            `json:"name"`
	Context map[string]string `json:"context"`
}

type namedUser struct {
	Name string     `json:"name"`
	User credential `json:"user"`
}

// credential is either a certificate with its key or a token file.
type credential struct {
	Certificate []byte `json:"client-certificate-data,omitempty"`
	Key         []byte `json:"client-key-data,omitempty"`
	TokenFile   string `json:"tokenFile,omitempty"`
}

const contextName = "kubernaut-local"

func newKubeconfig(server string, ca []byte, user, namespace string, c credential) kubeconfig {
	k := kubeconfig{APIVersion: "v1", Kind: "Config", CurrentContext: contextName}
	cluster := namedCluster{Name: contextName}
	cluster.Cluster.Server, cluster.Cluster.CA = server, ca
	context := map[string]string{"cluster": contextName, "user": user}
	if namespace != "" {
		context["namespace"] = namespace
	}
	k.Clusters = []namedCluster{cluster}
	k.Contexts = []namedContext{{contextName, context}}
	k.Users = []namedUser{{user, c}}
	return k
}

func (k kubeconfig) write(path string) error {
	data, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(path, append(data, '\n'))
}

// replaceFile never leaves half a file, lets nobody but the owner read it, and leaves alone what is right already.
func replaceFile(path string, data []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

func (d Directory) componentKubeconfig(name string) string {
	return d.path("config", name+".kubeconfig")
}

func (d Directory) writeKubeconfigs(p ports) error {
	users := []struct{ cert, user, path string }{
		{"admin", adminUser, d.Kubeconfig()},
		{kubeControllerManager, controllerManagerUser, d.componentKubeconfig(kubeControllerManager)},
		{kubeScheduler, schedulerUser, d.componentKubeconfig(kubeScheduler)},
		{kwok, kwokUser, d.componentKubeconfig(kwok)},
	}
	for _, u := range users {
		if err := d.writeCertKubeconfig(p, u.cert, u.user, u.path); err != nil {
			return err
		}
	}
	return nil
}

func (d Directory) writeCertKubeconfig(p ports, cert, user, path string) error {
	ca, err := os.ReadFile(d.cert("ca"))
	if err != nil {
		return err
	}
	certificate, err := os.ReadFile(d.cert(cert))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(d.key(cert))
	if err != nil {
		return err
	}
	return newKubeconfig(secureURL(p.APIServer), ca, user, "", credential{Certificate: certificate, Key: key}).write(path)
}

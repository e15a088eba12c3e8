package cluster

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// fakeNode is the annotation of the nodes that KWOK plays the kubelet of, and the label that we list them by.
const fakeNode = "kwok.x-k8s.io/node"

type object = map[string]any

func nodeName(i int) string { return fmt.Sprintf("node-%02d", i) }

func newNode(i int) object {
	name := nodeName(i)
	capacity := object{"cpu": "16", "memory": "64Gi", "pods": "250", "ephemeral-storage": "200Gi"}
	return object{
		"apiVersion": "v1",
		"kind":       "Node",
		"metadata": object{
			"name":        name,
			"annotations": object{fakeNode: "fake"},
			"labels": object{
				fakeNode: "fake", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
				"topology.kubernetes.io/region": "local", "topology.kubernetes.io/zone": fmt.Sprintf("local-%c", 'a'+i%3),
			},
		},
		"status": object{"capacity": capacity, "allocatable": capacity},
	}
}

type nodeList struct {
	Items []struct {
		Metadata struct{ Name string }
		Status   struct {
			Conditions []struct{ Type, Status string }
		}
	}
}

func (a *api) nodes(ctx context.Context) (nodeList, error) {
	var list nodeList
	err := a.get(ctx, "/api/v1/nodes?labelSelector="+url.QueryEscape(fakeNode+"=fake"), &list)
	return list, err
}

// createNodes adds what is missing; nodes beyond that number stay, somebody may use them.
func (a *api) createNodes(ctx context.Context, count int) error {
	list, err := a.nodes(ctx)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, node := range list.Items {
		have[node.Metadata.Name] = true
	}
	for i := range count {
		if have[nodeName(i)] {
			continue
		}
		if err := a.createOnce(ctx, "/api/v1/nodes", newNode(i)); err != nil {
			return err
		}
	}
	return nil
}

func (a *api) nodesReady(ctx context.Context) error {
	list, err := a.nodes(ctx)
	if err != nil {
		return err
	}
	for _, node := range list.Items {
		ready := false
		for _, c := range node.Status.Conditions {
			ready = ready || c.Type == "Ready" && c.Status == "True"
		}
		if !ready {
			return fmt.Errorf("node %s is not ready", node.Metadata.Name)
		}
	}
	return nil
}

// createOnce creates the object unless there is one of that name.
func (a *api) createOnce(ctx context.Context, path string, o object) error {
	err := a.create(ctx, path, o, nil)
	if hasCode(err, http.StatusConflict) {
		return nil
	}
	return err
}

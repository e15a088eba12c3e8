# Everything works from a clean checkout with Go, git, make and a C compiler: each target builds what it needs.
SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help

BIN := $(CURDIR)/bin
# CLUSTER is the directory of the local cluster; another one is another cluster.
CLUSTER ?= .cluster
# Local binaries stand in for an installation of envtest unless the environment names one.
export KUBEBUILDER_ASSETS ?= $(BIN)
TOOL := .ci/tool
GO_BUILD := go build -trimpath
LOCALCLUSTER := $(BIN)/localcluster
# The cluster's own tools; the compile of Kubernetes happens once for each version, outside the checkout.
NAMESPACE := kubernaut-system

.PHONY: help
help: ## Show what can be made.
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Try it

.PHONY: demo
demo: up $(BIN)/demo ## Break a Deployment on the local cluster and watch it being repaired.
	@$(BIN)/demo --kubeconfig $(CLUSTER)/kubeconfig --audit-log $(CLUSTER)/logs/audit.log

.PHONY: up
up: build cluster-up $(BIN)/up ## Start the local cluster with everything installed and the manager running.
	@$(BIN)/up --cluster $(CLUSTER) --bin $(BIN)

.PHONY: down
down: $(LOCALCLUSTER) ## End everything that up started and discard its data.
	@$(LOCALCLUSTER) down --dir $(CLUSTER)

.PHONY: cluster-up
cluster-up: binaries ## Start the local cluster alone: API server, controller manager, scheduler, ten simulated nodes.
	@$(LOCALCLUSTER) up --dir $(CLUSTER) --bin $(BIN)

.PHONY: cert-manager-up
cert-manager-up: cert-manager ## Run cert-manager on the local cluster: its controller and cainjector, as one process.
	@$(BIN)/kubectl --kubeconfig $(CLUSTER)/kubeconfig apply --server-side -f $$(go list -m -f '{{.Dir}}' github.com/cert-manager/cert-manager)/deploy/crds
	@$(LOCALCLUSTER) start --dir $(CLUSTER) --name cert-manager -- $(BIN)/cert-manager --kubeconfig $(CURDIR)/$(CLUSTER)/kubeconfig

.PHONY: cluster-down
cluster-down: down ## End the local cluster and discard its data.

## Build

.PHONY: build
build: ## Build bin/kubernaut, which is a plugin of kubectl too.
	@mkdir -p $(BIN)
	@$(GO_BUILD) -o $(BIN)/kubernaut ./cmd/kubernaut
	@ln -sf kubernaut $(BIN)/kubectl-kubernaut
	@ln -sf kubernaut $(BIN)/kubectl_complete-kubernaut

.PHONY: binaries
binaries: $(LOCALCLUSTER) ## Build the binaries of the local cluster (about ten minutes, once for each version).
	@$(LOCALCLUSTER) build --bin $(BIN)

.PHONY: cert-manager
cert-manager: $(LOCALCLUSTER) ## Build cert-manager for the local cluster (about two minutes, once for each version).
	@$(LOCALCLUSTER) build --bin $(BIN) cert-manager

.PHONY: $(LOCALCLUSTER)
$(LOCALCLUSTER):
	@mkdir -p $(BIN)
	@cd test/localcluster && $(GO_BUILD) -buildvcs=false -o $(LOCALCLUSTER) .

.PHONY: $(BIN)/demo $(BIN)/up
$(BIN)/demo:
	@$(GO_BUILD) -o $@ ./test/demo
$(BIN)/up:
	@$(GO_BUILD) -o $@ ./test/cluster/up

## Generate

# KINDS are the packages of the controllers; each has an identity and a role of its own.
KINDS := remediationrequest remediationprocessing aianalysis workflowexecution kubernetesexecution safetypolicy playbook

.PHONY: generate
generate: ## Generate deep copies, CRDs, roles, webhook configurations, admission policies, schemas, the pages about policies and the tables of those about kinds.
	@$(TOOL) controller-gen object paths=./api/...
	@$(TOOL) controller-gen crd paths=./api/... output:crd:dir=config/crd/bases
	@for kind in $(KINDS); do \
		$(TOOL) controller-gen rbac:roleName=$$kind-controller,fileName=$$kind-controller.yaml paths=./controllers/$$kind output:rbac:dir=config/rbac || exit; \
	done
	@go run ./config/generate

.PHONY: verify
verify: generate ## Fail if generated files or go.mod are not up to date.
	@go mod tidy -diff
	@cd test/localcluster && go mod tidy -diff
	@cd test/localcluster/certmanager && go mod tidy -diff
	@./.ci/unchanged

## Check

.PHONY: lint
lint: ## Run the linters.
	@$(TOOL) golangci-lint config verify
	@$(TOOL) golangci-lint run ./...
	@cd test/localcluster && ../../.ci/tool golangci-lint run --config ../../.golangci.yml ./...

.PHONY: lint-fix
lint-fix: ## Run the linters and let them fix what they can.
	@$(TOOL) golangci-lint run --fix ./...

.PHONY: test
test: test-unit test-policies test-api test-admission test-actions test-flow test-crash-recovery test-install test-e2e ## Run every test.

.PHONY: test-unit
test-unit: ## Test the pure code, with the race detector.
	go test -race ./api/... ./cmd/... ./config/... ./controllers/... ./webhooks/... ./test/demo/...
	cd test/localcluster && go test ./...

.PHONY: test-policies
test-policies: test-opa ## Test the safety gate and its policies, with their coverage.
	go test -race ./policies/...
	go test -run 'TooMuch|TimeLimit' ./policies/gate

.PHONY: test-opa
test-opa: ## Test, check and compare the formatting of the policies with an unmodified opa.
	@cmp <(go list -m -f '{{.Version}}' github.com/open-policy-agent/opa) <(sed -n 's/.*open-policy-agent\/opa \(v[^ ]*\).*/\1/p' .ci/opa.mod) || \
		{ echo ".ci/opa.mod must have the version of opa that go.mod has"; exit 1; }
	$(TOOL) opa test policies
	$(TOOL) opa check --strict policies
	$(TOOL) opa fmt --diff --fail policies

GINKGO_RUN := go test -count=1 -timeout 15m

.PHONY: assets
assets: $(LOCALCLUSTER)
ifeq ($(KUBEBUILDER_ASSETS),$(BIN))
	@$(LOCALCLUSTER) build --bin $(BIN) etcd kube-apiserver kubectl
endif

.PHONY: test-api
test-api: assets ## Test that the API server enforces the kinds' bounds and rules, and takes the examples of docs/kinds.
	$(GINKGO_RUN) ./test/api/... ./test/docs/...

.PHONY: test-admission
test-admission: assets ## Test the webhooks and the status guard on a real API server, and print the table of attacks.
	@table=$$(mktemp) && trap "rm -f $$table" EXIT && \
	KUBERNAUT_ATTACK_TABLE=$$table $(GINKGO_RUN) -race ./test/admission/... && cat $$table

.PHONY: test-admission-mutants
test-admission-mutants: ## Show for each rule of admission that needs no API server which row fails when it is taken out.
	go test -count=1 -timeout 15m -v ./test/admission/mutants

.PHONY: test-actions
test-actions: assets ## Test each action on a real API server, under its own identity.
	$(GINKGO_RUN) ./test/actions/...

.PHONY: test-flow
test-flow: assets ## Take objects through the paths of their phases: all controllers, on a real API server.
	$(GINKGO_RUN) ./test/flow/...

.PHONY: test-crash
test-crash: assets ## Test that effects happen exactly once: the manager dies at every write, requests fail, two managers run, the clock steps.
	go test -count=1 -timeout 60m ./test/crash -v

.PHONY: test-crash-recovery
test-crash-recovery: assets ## The part of test-crash that every change runs: a remediation with a recovery, the manager dying at each of its writes.
	go test -count=1 -timeout 20m ./test/crash -ginkgo.focus 'recovered when the manager dies at any write'

.PHONY: test-crash-mutants
test-crash-mutants: assets ## Show that test-crash notices when a part of what makes effects happen once is taken out.
	KUBERNAUT_CRASH_MUTANTS=1 go test -count=1 -timeout 60m ./test/crash/mutants

.PHONY: test-install
test-install: build assets cert-manager ## Test the manifests, and the manager with certificates from cert-manager and from files.
	KUBERNAUT_BIN=$(BIN) $(GINKGO_RUN) ./test/install/...

.PHONY: deploy
deploy: ## Install config/default on the cluster that $KUBECONFIG points to; it needs cert-manager, and an image (config/README.md).
	kubectl apply --server-side -k config/default

.PHONY: test-e2e
test-e2e: ## Test the whole on a local cluster of its own.
	@trap '$(MAKE) --no-print-directory down CLUSTER=.cluster-e2e' EXIT; \
	$(MAKE) --no-print-directory up CLUSTER=.cluster-e2e && \
	KUBERNAUT_CLUSTER_DIR=$(CURDIR)/.cluster-e2e KUBERNAUT_BIN=$(BIN) $(GINKGO_RUN) ./test/e2e/...

# FUZZTIME is how long each fuzz function runs.
FUZZTIME ?= 30s

.PHONY: fuzz
fuzz: ## Run every fuzz function for FUZZTIME, one after the other; what fails is kept in testdata/fuzz of its package.
	@.ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: binaries build ## Run the benchmarks that have a bar, about half an hour: a table, and .bench/results.json.
	@go run ./test/bench

package shared

// ActionType is the exact name of an action in the catalogue; aliases are not accepted.
// +kubebuilder:validation:Enum=scale-deployment;restart-deployment;restart-pod;rollback-deployment;increase-resources;update-image;cordon-node;uncordon-node;notify-only
type ActionType string

// The actions of the catalogue.
const (
	ActionScaleDeployment    ActionType = "scale-deployment"
	ActionRestartDeployment  ActionType = "restart-deployment"
	ActionRestartPod         ActionType = "restart-pod"
	ActionRollbackDeployment ActionType = "rollback-deployment"
	ActionIncreaseResources  ActionType = "increase-resources"
	ActionUpdateImage        ActionType = "update-image"
	ActionCordonNode         ActionType = "cordon-node"
	ActionUncordonNode       ActionType = "uncordon-node"
	ActionNotifyOnly         ActionType = "notify-only"
)

// ActionTypes lists the catalogue in the order in which people read it.
func ActionTypes() []ActionType {
	return []ActionType{
		ActionScaleDeployment, ActionRestartDeployment, ActionRestartPod, ActionRollbackDeployment, ActionIncreaseResources,
		ActionUpdateImage, ActionCordonNode, ActionUncordonNode, ActionNotifyOnly,
	}
}

// Action is one typed, small change of the cluster: a union of which exactly the member that type names is set. No action
// changes: rules on the specs see to it, and the one writer of a status. So its own are evaluated once, when it is written first.
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (self.type == 'scale-deployment') == has(self.scaleDeployment)",optionalOldSelf=true,fieldPath=".scaleDeployment",message="is required when type is scale-deployment, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (self.type == 'restart-deployment') == has(self.restartDeployment)",optionalOldSelf=true,fieldPath=".restartDeployment",message="is required when type is restart-deployment, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (self.type == 'restart-pod') == has(self.restartPod)",optionalOldSelf=true,fieldPath=".restartPod",message="is required when type is restart-pod, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (self.type == 'rollback-deployment') == has(self.rollbackDeployment)",optionalOldSelf=true,fieldPath=".rollbackDeployment",message="is required when type is rollback-deployment, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (self.type == 'increase-resources') == has(self.increaseResources)",optionalOldSelf=true,fieldPath=".increaseResources",message="is required when type is increase-resources, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (self.type == 'update-image') == has(self.updateImage)",optionalOldSelf=true,fieldPath=".updateImage",message="is required when type is update-image, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (self.type == 'cordon-node') == has(self.cordonNode)",optionalOldSelf=true,fieldPath=".cordonNode",message="is required when type is cordon-node, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (self.type == 'uncordon-node') == has(self.uncordonNode)",optionalOldSelf=true,fieldPath=".uncordonNode",message="is required when type is uncordon-node, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (self.type == 'notify-only') == has(self.notifyOnly)",optionalOldSelf=true,fieldPath=".notifyOnly",message="is required when type is notify-only, and forbidden otherwise"
type Action struct {
	// type is the name of the action; it says which one of the other fields is set.
	// +required
	Type ActionType `json:"type,omitempty"`
	// scaleDeployment sets the replicas of a Deployment.
	// +optional
	ScaleDeployment *ScaleDeployment `json:"scaleDeployment,omitempty"`
	// restartDeployment replaces all pods of a Deployment, as its strategy paces it.
	// +optional
	RestartDeployment *RestartDeployment `json:"restartDeployment,omitempty"`
	// restartPod deletes one pod, so that its controller makes another.
	// +optional
	RestartPod *RestartPod `json:"restartPod,omitempty"`
	// rollbackDeployment returns the pod template of a Deployment to an earlier revision.
	// +optional
	RollbackDeployment *RollbackDeployment `json:"rollbackDeployment,omitempty"`
	// increaseResources raises the memory or CPU of one container of a workload.
	// +optional
	IncreaseResources *IncreaseResources `json:"increaseResources,omitempty"`
	// updateImage sets the image of one container of a workload.
	// +optional
	UpdateImage *UpdateImage `json:"updateImage,omitempty"`
	// cordonNode keeps new pods from a node.
	// +optional
	CordonNode *CordonNode `json:"cordonNode,omitempty"`
	// uncordonNode lets new pods onto a node again.
	// +optional
	UncordonNode *UncordonNode `json:"uncordonNode,omitempty"`
	// notifyOnly tells people something and changes nothing in the cluster.
	// +optional
	NotifyOnly *NotifyOnly `json:"notifyOnly,omitempty"`
}

// ScaleDeployment sets the replicas of a Deployment.
type ScaleDeployment struct {
	// namespace is the namespace of the Deployment.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// name is the name of the Deployment.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// replicas is the number of pods wanted.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Replicas *int32 `json:"replicas,omitempty"`
}

// RestartDeployment replaces all pods of a Deployment, as its strategy paces it.
type RestartDeployment struct {
	// namespace is the namespace of the Deployment.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// name is the name of the Deployment.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// RestartPod deletes one pod, so that its controller makes another.
type RestartPod struct {
	// namespace is the namespace of the pod.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// name is the name of the pod.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// gracePeriodSeconds is how long the pod has to end, from 0 to 3600 seconds; left out, it is what the pod itself asks for.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	GracePeriodSeconds *int64 `json:"gracePeriodSeconds,omitempty"`
	// force allows it for a pod that no controller makes again; default false.
	// +optional
	Force *bool `json:"force,omitempty"`
}

// RollbackDeployment returns the pod template of a Deployment to that of an earlier revision.
type RollbackDeployment struct {
	// namespace is the namespace of the Deployment.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// name is the name of the Deployment.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// revision is the revision to return to, as kubectl rollout history lists it; 0, the default, is the previous one.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:default=0
	Revision *int64 `json:"revision,omitempty"`
}

// WorkloadKind is a kind of workload that has a pod template.
// +kubebuilder:validation:Enum=Deployment;StatefulSet;DaemonSet
type WorkloadKind string

// The workload kinds, all of apps/v1.
const (
	WorkloadDeployment  WorkloadKind = "Deployment"
	WorkloadStatefulSet WorkloadKind = "StatefulSet"
	WorkloadDaemonSet   WorkloadKind = "DaemonSet"
)

// IncreaseResources raises the memory or CPU of one container of a workload. It never lowers anything.
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || has(self.memoryRequest) || has(self.memoryLimit) || has(self.cpuRequest) || has(self.cpuLimit)",optionalOldSelf=true,message="at least one of memoryRequest, memoryLimit, cpuRequest and cpuLimit is set"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || !has(self.memoryRequest) || !has(self.memoryLimit) || !isQuantity(self.memoryRequest) || !isQuantity(self.memoryLimit) || quantity(self.memoryRequest).compareTo(quantity(self.memoryLimit)) <= 0",optionalOldSelf=true,fieldPath=".memoryRequest",message="must not be above memoryLimit"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || !has(self.cpuRequest) || !has(self.cpuLimit) || !isQuantity(self.cpuRequest) || !isQuantity(self.cpuLimit) || quantity(self.cpuRequest).compareTo(quantity(self.cpuLimit)) <= 0",optionalOldSelf=true,fieldPath=".cpuRequest",message="must not be above cpuLimit"
type IncreaseResources struct {
	// namespace is the namespace of the workload.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// kind is the kind of the workload: Deployment, the default, StatefulSet or DaemonSet.
	// +optional
	// +kubebuilder:default=Deployment
	Kind WorkloadKind `json:"kind,omitempty"`
	// name is the name of the workload.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// container is the name of the container, init containers included, whose resources are raised.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Container string `json:"container,omitempty"`
	// memoryRequest is the memory that the container is promised, such as 512Mi; left out, it stays as it is.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",message="must be a quantity above 0, such as 512Mi"
	MemoryRequest string `json:"memoryRequest,omitempty"`
	// memoryLimit is the most memory that the container may use, such as 1Gi; left out, it stays as it is.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",message="must be a quantity above 0, such as 1Gi"
	MemoryLimit string `json:"memoryLimit,omitempty"`
	// cpuRequest is the CPU that the container is promised, such as 250m; left out, it stays as it is.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",message="must be a quantity above 0, such as 250m"
	CPURequest string `json:"cpuRequest,omitempty"`
	// cpuLimit is the most CPU that the container may use, such as 1500m; left out, it stays as it is.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",message="must be a quantity above 0, such as 1500m"
	CPULimit string `json:"cpuLimit,omitempty"`
}

// UpdateImage sets the image of one container of a workload.
type UpdateImage struct {
	// namespace is the namespace of the workload.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// kind is the kind of the workload: Deployment, the default, StatefulSet or DaemonSet.
	// +optional
	// +kubebuilder:default=Deployment
	Kind WorkloadKind `json:"kind,omitempty"`
	// name is the name of the workload.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// container is the name of the container, init containers included, whose image is set.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Container string `json:"container,omitempty"`
	// image is the image reference to set, such as registry.example.com/shop/cart:1.4.2.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`
}

// CordonNode keeps new pods from a node; those that run there stay.
type CordonNode struct {
	// name is the name of the node.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// UncordonNode lets new pods onto a node again.
type UncordonNode struct {
	// name is the name of the node.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// NotifyOnly tells people something and changes nothing in the cluster. A message reaches the outside world at least once.
type NotifyOnly struct {
	// message is the text for people.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// severity is how urgent the message is: critical, warning, the default, or info.
	// +optional
	// +kubebuilder:default=warning
	Severity Severity `json:"severity,omitempty"`
}

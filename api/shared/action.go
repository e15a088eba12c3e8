package shared

// ActionType is the exact name of an action in the catalogue; aliases are not accepted.
// +kubebuilder:validation:Enum=scale-deployment;rollback-deployment;update-image;notify-only
type ActionType string

// The actions of the catalogue.
const (
	ActionScaleDeployment    ActionType = "scale-deployment"
	ActionRollbackDeployment ActionType = "rollback-deployment"
	ActionUpdateImage        ActionType = "update-image"
	ActionNotifyOnly         ActionType = "notify-only"
)

// ActionTypes lists the catalogue in the order in which people read it.
func ActionTypes() []ActionType {
	return []ActionType{ActionScaleDeployment, ActionRollbackDeployment, ActionUpdateImage, ActionNotifyOnly}
}

// Action is one typed, small change of the cluster: a union of which exactly the member that type names is set.
// +kubebuilder:validation:XValidation:rule="(self.type == 'scale-deployment') == has(self.scaleDeployment)",fieldPath=".scaleDeployment",message="is required when type is scale-deployment, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="(self.type == 'rollback-deployment') == has(self.rollbackDeployment)",fieldPath=".rollbackDeployment",message="is required when type is rollback-deployment, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="(self.type == 'update-image') == has(self.updateImage)",fieldPath=".updateImage",message="is required when type is update-image, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="(self.type == 'notify-only') == has(self.notifyOnly)",fieldPath=".notifyOnly",message="is required when type is notify-only, and forbidden otherwise"
type Action struct {
	// type is the name of the action; it says which one of the other fields is set.
	// +required
	Type ActionType `json:"type,omitempty"`
	// scaleDeployment sets the replicas of a Deployment.
	// +optional
	ScaleDeployment *ScaleDeployment `json:"scaleDeployment,omitempty"`
	// rollbackDeployment returns the pod template of a Deployment to an earlier revision.
	// +optional
	RollbackDeployment *RollbackDeployment `json:"rollbackDeployment,omitempty"`
	// updateImage sets the image of one container of a workload.
	// +optional
	UpdateImage *UpdateImage `json:"updateImage,omitempty"`
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

Saturday, 28 November 2026 (UTC)
00:14:42  rr/stuck                 repair Deployment shop/cart: signal KubeDeploymentRolloutStuck (critical) from prometheus, asked for by kubernetes-admin
00:14:42  rp/stuck-processing      examined Deployment shop/cart: production P0; Failed: Progress deadline exceeded
00:14:42  aia/stuck-analysis       cause: The rollout of Deployment shop/cart is stuck: the image registry.example.com/shop/cart:1.5.0-missing of container app cannot be pulled. (90 % sure); playbook image-pull-failure-rollback
00:14:43  wfe/stuck-workflow       image-pull-failure-rollback: 1 step, sequential, about 10s
00:14:43  wfe/stuck-workflow       planned; now dry run and safety gate
00:14:43  wfe/stuck-workflow       the safety gate says Allow
                                     step roll-back: /spec/template/spec/containers/0/image: "registry.example.com/shop/cart:1.5.0-missing" → "registry.example.com/shop/cart:1.4.2"
00:14:43  wfe/stuck-workflow       step roll-back begins: rollback-deployment of Deployment shop/cart
00:14:43  ke/stuck-workflow-s0-a1  step roll-back: the target is changed
                                     /spec/template/spec/containers/0/image: "registry.example.com/shop/cart:1.5.0-missing" → "registry.example.com/shop/cart:1.4.2"
00:14:43  wfe/stuck-workflow       step roll-back is completed
00:14:43  wfe/stuck-workflow       all steps are done; watches whether what was changed becomes healthy
00:14:43  wfe/stuck-workflow       healthy; it counts after 15s
00:14:58  wfe/stuck-workflow       completed: Success
00:14:58  rr/stuck                 completed: Remediated
                                     WorkflowExecution stuck-workflow succeeded and the target is healthy.

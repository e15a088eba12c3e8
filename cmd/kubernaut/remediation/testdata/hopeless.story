Saturday, 28 November 2026 (UTC)
00:19:32  rr/hopeless                 repair Deployment shop/hopeless: signal KubeDeploymentRolloutStuck (critical) from prometheus, asked for by kubernetes-admin
00:19:32  rp/hopeless-processing      examined Deployment shop/hopeless: production P0; Failed: Progress deadline exceeded
00:19:32  aia/hopeless-analysis       cause: The rollout of Deployment shop/hopeless is stuck: the image registry.example.com/shop/hopeless:2-missing of container app cannot be pulled. (90 % sure); playbook image-pull-failure-rollback
00:19:32  wfe/hopeless-workflow       image-pull-failure-rollback: 1 step, sequential, about 10s
00:19:32  wfe/hopeless-workflow       planned; now dry run and safety gate
00:19:33  wfe/hopeless-workflow       the safety gate says Allow
                                        step roll-back: /spec/template/spec/containers/0/image: "registry.example.com/shop/hopeless:2-missing" → "registry.example.com/shop/hopeless:1-missing"
00:19:33  wfe/hopeless-workflow       step roll-back begins: rollback-deployment of Deployment shop/hopeless
00:19:33  ke/hopeless-workflow-s0-a1  step roll-back: the target is changed
                                        /spec/template/spec/containers/0/image: "registry.example.com/shop/hopeless:2-missing" → "registry.example.com/shop/hopeless:1-missing"
00:19:33  wfe/hopeless-workflow       step roll-back is completed
00:19:33  wfe/hopeless-workflow       all steps are done; watches whether what was changed becomes healthy
00:19:48  wfe/hopeless-workflow       rolls back what was done
                                        ineffective: the steps are completed, but the target's own controller has given up on it: Deployment shop/hopeless: Progress deadline exceeded
00:19:48  ke/hopeless-workflow-s0-r1  undoing step roll-back: what hopeless-workflow-s0-a1 captured is restored
                                        /spec/template/spec/containers/0/image: "registry.example.com/shop/hopeless:1-missing" → "registry.example.com/shop/hopeless:2-missing"
00:19:48  wfe/hopeless-workflow       failed: RolledBack
                                        ineffective: the steps are completed, but the target's own controller has given up on it: Deployment shop/hopeless: Progress deadline exceeded
                                        rollback: every field that was captured for step "roll-back" is restored
00:19:48  rr/hopeless                 recovery 1 of at most 3 begins: wfe/hopeless-workflow failed (ineffective)
00:19:48  rp/hopeless-recovery-1      examined Deployment shop/hopeless: production P0; Failed: Progress deadline exceeded
00:19:48  aia/hopeless-recovery-1     the analysis failed
                                        No playbook matches signal KubeDeploymentRolloutStuck on Deployment shop/hopeless. Considered: image-pull-failure-rollback (its workflow has failed for this request), stuck-rollout-serving-revision (its expression is false), scale-out-deployment (signal KubeDeploymentRolloutStuck is none of its signals), notify-on-unknown (its expression is false).
00:19:48  rr/hopeless                 failed: ManualReviewRequired
                                        a person must go on: AIAnalysis hopeless-recovery-1 failed: No playbook matches signal KubeDeploymentRolloutStuck on Deployment shop/hopeless. Considered: image-pull-failure-rollback (its workflow has failed for this request), stuck-rollout-serving-revision (its expression is false), scale-out-deployment (signal KubeDeploymentRolloutStuck is none of its signals), notify-on-unknown (its expression is false). Look at it with: kubectl -n shop describe aianalysis hopeless-recovery-1

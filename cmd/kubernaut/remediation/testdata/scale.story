Saturday, 28 November 2026 (UTC)
00:14:42  wfe/scale       scale-both: 3 steps, sequential, about 21s, asked for by kubernetes-admin
00:14:42  wfe/scale       planned; now dry run and safety gate
00:14:43  wfe/scale       the safety gate says Allow
                            step basket: /spec/replicas: 2 → 4
                            step image: /spec/template/spec/containers/0/image: "registry.example.com/shop/basket:1.4.2" → "registry.example.com/shop/basket:2-missing"
00:14:43  wfe/scale       step basket begins: scale-deployment of Deployment shop/basket
00:14:43  ke/scale-s0-a1  step basket: the target is changed
                            /spec/replicas: 2 → 4
00:14:43  wfe/scale       step basket is completed
00:14:43  wfe/scale       step tell begins: notify-only "scaled basket"
00:14:43  ke/scale-s1-a1  step tell: nothing was changed
00:14:43  wfe/scale       step tell is completed
00:14:43  wfe/scale       step image begins: update-image of Deployment shop/basket
00:14:43  wfe/scale       Notification: scaled basket
00:14:44  ke/scale-s2-a1  step image: the target is changed
                            /spec/template/spec/containers/0/image: "registry.example.com/shop/basket:1.4.2" → "registry.example.com/shop/basket:2-missing"
00:14:44  wfe/scale       step image is completed
00:14:44  wfe/scale       all steps are done; watches whether what was changed becomes healthy
00:14:47  wfe/scale       rolls back what was done
                            ineffective: the steps are completed, but the target's own controller has given up on it: Deployment shop/basket: Progress deadline exceeded
00:14:47  ke/scale-s2-r1  undoing step image: what scale-s2-a1 captured is restored
                            /spec/template/spec/containers/0/image: "registry.example.com/shop/basket:2-missing" → "registry.example.com/shop/basket:1.4.2"
00:14:48  ke/scale-s0-r1  undoing step basket: what scale-s0-a1 captured is restored
                            /spec/replicas: 4 → 2
00:14:48  wfe/scale       failed: RolledBack
                            ineffective: the steps are completed, but the target's own controller has given up on it: Deployment shop/basket: Progress deadline exceeded
                            rollback: every field that was captured for steps "basket", "image" is restored

Saturday, 28 November 2026 (UTC)
00:19:25  wfe/to-zero  to-zero: 1 step, sequential, about 10s, asked for by kubernetes-admin
00:19:25  wfe/to-zero  planned; now dry run and safety gate
00:19:25  wfe/to-zero  failed: Failed
                         step zero: policy_denied: the safety gate says Deny to step "zero": replica_bounds/not_below_production_minimum: 0 replicas are permitted only where it is certain that it is not production
                         rollback: no step has changed anything

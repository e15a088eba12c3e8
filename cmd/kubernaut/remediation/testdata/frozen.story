Saturday, 28 November 2026 (UTC)
00:22:53  wfe/frozen  frozen: 1 step, sequential, about 10s, asked for by kubernetes-admin
00:22:53  wfe/frozen  planned; now dry run and safety gate
00:22:53  wfe/frozen  waits: the safety gate holds step "wide" until its policies change: freeze/incident: INC-4711: nothing is changed until it is over

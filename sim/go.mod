module github.com/vow-os/vow/sim

go 1.26.8

require github.com/vow-os/vow/gen v0.0.0

replace github.com/vow-os/vow/gen => ../gen

require github.com/vow-os/vow/kit v0.0.0

replace github.com/vow-os/vow/kit => ../kit

require github.com/vow-os/vow/svc-master v0.0.0

replace github.com/vow-os/vow/svc-master => ../svc-master

require github.com/vow-os/vow/svc-scheduler v0.0.0

replace github.com/vow-os/vow/svc-scheduler => ../svc-scheduler

require github.com/vow-os/vow/svc-node v0.0.0

replace github.com/vow-os/vow/svc-node => ../svc-node

require github.com/vow-os/vow/svc-promise v0.0.0

replace github.com/vow-os/vow/svc-promise => ../svc-promise

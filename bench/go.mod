module github.com/vow-os/vow/bench

go 1.26.8

require github.com/vow-os/vow/svc-node v0.0.0

require (
	github.com/vow-os/vow/kit v0.0.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
)

replace (
	github.com/vow-os/vow/gen => ../gen
	github.com/vow-os/vow/kit => ../kit
	github.com/vow-os/vow/svc-node => ../svc-node
	github.com/vow-os/vow/svc-promise => ../svc-promise
)

module github.com/vow-os/vow/svc-promise

go 1.26.8

require github.com/vow-os/vow/gen v0.0.0

replace github.com/vow-os/vow/gen => ../gen

require (
	github.com/vow-os/vow/kit v0.0.0
	pgregory.net/rapid v1.3.0
)

replace github.com/vow-os/vow/kit => ../kit

module github.com/vow-os/vow/svc-scheduler

go 1.26.8

replace github.com/vow-os/vow/gen => ../gen

require github.com/vow-os/vow/kit v0.0.0

replace github.com/vow-os/vow/kit => ../kit

module github.com/vow-os/vow/vow

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

require (
	github.com/spf13/cobra v1.10.2
	github.com/vow-os/vow/svc-promise v0.0.0
	google.golang.org/protobuf v1.36.12
)

require (
	buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go v1.36.12-20260825204119-511051f7f437.2 // indirect
	github.com/google/uuid v1.6.0
	github.com/redis/go-redis/v9 v9.23.0
	github.com/vow-os/vow/examples v0.0.0
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260928230214-8a89bd6388cc // indirect
	google.golang.org/grpc v1.85.0 // indirect
)

replace github.com/vow-os/vow/svc-promise => ../svc-promise

replace github.com/vow-os/vow/examples => ../examples

// Pins the module that carries buf/validate/validate.proto, which proto/ imports. It holds no Go package, so nothing here
// imports it and `go mod tidy` would drop the requirement; `make check-tidy` therefore leaves this module out. What counts
// is go.sum: the file is verified against it before buf reads it.
module github.com/vow-os/vow/tools/protovalidate

go 1.26.8

require github.com/bufbuild/protovalidate v1.2.2

// The repository's own checks. In no workspace: they must run when a module of the workspace does not build.
module github.com/vow-os/vow/tools/check

go 1.26.8

require golang.org/x/mod v0.42.0

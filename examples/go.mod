module github.com/vow-os/vow/examples

go 1.26.8

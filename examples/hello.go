package examples

import "embed"

// Hello is the release of the sample tree, in the folder hello: a root that requests two children, each a service that listens, with promises that check it.
//
//go:embed all:hello
var Hello embed.FS

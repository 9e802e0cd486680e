package redisstore

import (
	_ "embed"

	"github.com/vow-os/vow/kit/store"
)

//go:embed lua/commit.lua
var commitSource string

//go:embed lua/swap.lua
var swapSource string

//go:embed lua/contact.lua
var contactSource string

//go:embed lua/epoch.lua
var epochSource string

//go:embed lua/purge.lua
var purgeSource string

//go:embed lua/release.lua
var releaseSource string

//go:embed lua/replica.lua
var replicaSource string

// scripts are those of lua/.
type scripts struct {
	commit, swap, contact, epoch, release, purge, replica *store.Script
}

func newScripts() scripts {
	return scripts{
		commit: store.NewScript("commit", commitSource), swap: store.NewScript("swap", swapSource),
		contact: store.NewScript("contact", contactSource), epoch: store.NewScript("epoch", epochSource),
		release: store.NewScript("release", releaseSource), purge: store.NewScript("purge", purgeSource),
		replica: store.NewScript("replica", replicaSource),
	}
}

// appendList appends the length of a list and the list, as the scripts read it.
func appendList(args []any, items []any) []any {
	return append(append(args, len(items)), items...)
}

package redisstore

import (
	"context"

	"github.com/vow-os/vow/kit/store"
)

// Schema of svc-master's keys (doc.go). Who changes the layout of one adds an upgrade here, and a test that upgrades what the version before wrote.
//
//	2  an item of a shard's feed has all entries of a commit; version 1 wrote one for each, and could not read these
func Schema() store.Schema {
	return store.Schema{Service: "svc-master", Upgrades: []func(context.Context, *store.Store) error{manyEntriesAnItem}}
}

// manyEntriesAnItem changes nothing: an item of version 1 is one of version 2 with one entry. The version is what keeps a replica of before from reading what it
// does not understand, and what lets a backup of before be restored.
func manyEntriesAnItem(context.Context, *store.Store) error { return nil }

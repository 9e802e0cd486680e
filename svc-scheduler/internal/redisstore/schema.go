package redisstore

import "github.com/vow-os/vow/kit/store"

// Schema of svc-scheduler's keys (doc.go). Who changes the layout of one adds an upgrade here, and a test that upgrades what the version before wrote.
func Schema() store.Schema { return store.Schema{Service: "svc-scheduler"} }

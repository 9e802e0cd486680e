package storetest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/vow-os/vow/kit/store"
)

// masterName is what the Sentinel calls its master.
const masterName = "vow"

// SentinelServer is a Sentinel and the master it watches; there is no replica to fail over to.
type SentinelServer struct {
	Master, Sentinel *Server
}

// StartSentinel starts a server and a Sentinel that watches it.
func StartSentinel(t testing.TB) *SentinelServer {
	t.Helper()
	master := StartRedis(t)
	// A Sentinel writes its state into its configuration, and takes it from the first argument only.
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 1\nsentinel down-after-milliseconds %s 1000\n", masterName, master.port, masterName)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &SentinelServer{Master: master, Sentinel: startConfigured(t, config, "--sentinel")}
}

// URL is what store.Config takes.
func (s *SentinelServer) URL() string {
	return "redis-sentinel://" + s.Sentinel.Addr() + "/" + masterName
}

// Open opens a store behind this Sentinel and stops it when the test ends.
func (s *SentinelServer) Open(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, store.Config{URL: s.URL()}, store.Settings{})
}

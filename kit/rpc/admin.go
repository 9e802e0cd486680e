package rpc

import (
	"fmt"
	"net/http"
	"net/http/pprof"
)

// registerAdmin fills the admin port. /healthz says that the process lives, /readyz that it can serve, with the
// reason in words when it cannot.
func (s *Server) registerAdmin() {
	s.adminMux.Handle("GET /metrics", s.settings.Telemetry.Prometheus)
	s.adminMux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	s.adminMux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.ready(r.Context()); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	s.adminMux.HandleFunc("/debug/pprof/", pprof.Index)
	s.adminMux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	s.adminMux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	s.adminMux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	s.adminMux.HandleFunc("/debug/pprof/trace", pprof.Trace)
}

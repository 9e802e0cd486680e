package rpc

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// grpc.health.v1, on the same port for every protocol. A service is SERVING when Settings.Ready says so.
const (
	healthService = "grpc.health.v1.Health"
	healthCheck   = "/" + healthService + "/Check"
	healthWatch   = "/" + healthService + "/Watch"
	healthList    = "/" + healthService + "/List"

	// readyTimeout bounds one question to Settings.Ready.
	readyTimeout = 2 * time.Second
	// watchInterval is how often a watched health is asked for: Ready is a question, not a signal.
	watchInterval = time.Second
)

func (s *Server) registerHealth() {
	options := []connect.HandlerOption{connect.WithReadMaxBytes(s.settings.ReadMaxBytes), connect.WithInterceptors(recovery{s.settings.Log})}
	mux := http.NewServeMux()
	mux.Handle(healthCheck, connect.NewUnaryHandlerSimple(healthCheck, s.checkHealth, options...))
	mux.Handle(healthList, connect.NewUnaryHandlerSimple(healthList, s.listHealth, options...))
	mux.Handle(healthWatch, connect.NewServerStreamHandlerSimple(healthWatch, s.watchHealth, options...))
	s.mux.Handle("/"+healthService+"/", mux)
}

func (s *Server) checkHealth(ctx context.Context, req *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if !s.hasService(req.GetService()) {
		return nil, NotFound(fmt.Errorf("cannot check %q: no such service here", req.GetService()))
	}
	return &grpc_health_v1.HealthCheckResponse{Status: s.health(ctx)}, nil
}

func (s *Server) listHealth(ctx context.Context, _ *grpc_health_v1.HealthListRequest) (*grpc_health_v1.HealthListResponse, error) {
	status := s.health(ctx)
	list := &grpc_health_v1.HealthListResponse{Statuses: map[string]*grpc_health_v1.HealthCheckResponse{"": {Status: status}}}
	for _, name := range s.names {
		list.Statuses[name] = &grpc_health_v1.HealthCheckResponse{Status: status}
	}
	return list, nil
}

func (s *Server) watchHealth(
	ctx context.Context, req *grpc_health_v1.HealthCheckRequest, stream *connect.ServerStream[grpc_health_v1.HealthCheckResponse],
) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	last := grpc_health_v1.HealthCheckResponse_UNKNOWN
	for {
		status := grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN
		if s.hasService(req.GetService()) {
			status = s.health(ctx)
		}
		if status != last {
			if err := stream.Send(&grpc_health_v1.HealthCheckResponse{Status: status}); err != nil {
				return err
			}
			last = status
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Stopping():
			return stream.Send(&grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING})
		}
	}
}

func (s *Server) hasService(name string) bool {
	return name == "" || name == healthService || slices.Contains(s.names, name)
}

func (s *Server) health(ctx context.Context) grpc_health_v1.HealthCheckResponse_ServingStatus {
	if s.ready(ctx) != nil {
		return grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	return grpc_health_v1.HealthCheckResponse_SERVING
}

func (s *Server) ready(ctx context.Context) error {
	if s.stopping.Err() != nil {
		return errStopping
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return s.settings.Ready(ctx)
}

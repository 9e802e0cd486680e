package rpc

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
)

// Server serves the RPCs of one service and its admin port.
type Server struct {
	cfg      Config
	settings Settings
	options  []connect.HandlerOption

	admission     *admission
	mux, adminMux *http.ServeMux
	names         []string // of the services, for health and reflection
	public, admin *http.Server

	// stopping ends the streams when Stop begins; unary calls go on until they end or the time is up.
	stopping context.Context
	stop     context.CancelCauseFunc

	mu              sync.Mutex // guards what follows; never held while anything waits
	started         bool
	addr, adminAddr net.Addr
	serving         chan error // what each http.Server returned
	servers         int
	stopOnce        sync.Once
	stopErr         error
}

// errStopping is the cause of the end of streams.
var errStopping = errors.New("the server is stopping")

// NewServer checks the configuration and makes the server; it listens in Start. Register services with Handle before.
func NewServer(cfg Config, s Settings) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Address == "" && s.Listener == nil {
		return nil, errors.New("cannot serve: no --address")
	}
	server := &Server{
		cfg: cfg, settings: s.withDefaults(),
		mux: http.NewServeMux(), adminMux: http.NewServeMux(),
		serving: make(chan error, 2),
	}
	limits := server.settings.Admission
	limits.Slots, limits.Waiting = cmp.Or(cfg.Calls, limits.Slots), cmp.Or(cfg.CallsWaiting, limits.Waiting)
	server.admission = newAdmission(limits, server.settings.Telemetry)
	server.stopping, server.stop = context.WithCancelCause(context.Background())
	options, err := server.handlerOptions()
	if err != nil {
		return nil, fmt.Errorf("cannot serve: %w", err)
	}
	server.options = options
	server.registerAdmin()
	return server, nil
}

// HandlerOptions are what every generated handler is made with.
func (s *Server) HandlerOptions() []connect.HandlerOption { return s.options }

// Handle registers a service, as generated code makes it:
//
//	server.Handle(masterv1connect.NewBangServiceHandler(api, server.HandlerOptions()...))
func (s *Server) Handle(path string, handler http.Handler) {
	s.mux.Handle(path, handler)
	if len(path) > 2 {
		s.names = append(s.names, path[1:len(path)-1])
		s.admission.know(path[1 : len(path)-1])
	}
}

// HandleHTTP registers something that is no RPC, under a pattern of http.ServeMux.
func (s *Server) HandleHTTP(pattern string, handler http.Handler) { s.mux.Handle(pattern, handler) }

// HandleAdmin registers a page of the admin port, under a pattern of http.ServeMux.
func (s *Server) HandleAdmin(pattern string, handler http.Handler) {
	s.adminMux.Handle(pattern, handler)
}

// Stopping is closed when Stop begins. Contexts of streams end then by themselves; what else waits listens here.
func (s *Server) Stopping() <-chan struct{} { return s.stopping.Done() }

// Addr is where the RPCs are; nil before Start.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// AdminAddr is where the admin port is; nil before Start and without one.
func (s *Server) AdminAddr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.adminAddr
}

// Start listens and serves. A server starts once.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	started := s.started
	s.started = true
	s.mu.Unlock()
	if started || s.stopping.Err() != nil {
		return errors.New("cannot serve: already started or stopped")
	}
	secure, err := s.tlsConfig()
	if err != nil {
		return err
	}
	listener, err := listen(ctx, s.settings.Listener, "--address", s.cfg.Address)
	if err != nil {
		return err
	}
	adminListener := s.settings.AdminListener
	if adminListener == nil && s.cfg.AdminAddress != "" {
		if adminListener, err = listen(ctx, nil, "--admin-address", s.cfg.AdminAddress); err != nil {
			return errors.Join(err, listener.Close())
		}
	}

	s.registerHealth()
	s.registerReflection()
	public := s.httpServer(controlled(s.stopping, s.admission.admitted(s.mux)))
	public.ConnContext = withContact
	public.TLSConfig = secure
	var wrapped net.Listener = &contactListener{Listener: listener}
	if secure != nil {
		wrapped = tls.NewListener(wrapped, secure)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr, s.public = listener.Addr(), public
	s.serve(public, wrapped)
	if adminListener != nil {
		s.adminAddr, s.admin = adminListener.Addr(), s.httpServer(s.adminMux)
		s.serve(s.admin, adminListener)
	}
	s.settings.Log.InfoContext(ctx, "serving", "address", s.addr.String(), "admin_address", addressOf(s.adminAddr), "tls", secure != nil)
	return nil
}

func (s *Server) serve(server *http.Server, l net.Listener) {
	s.servers++
	go func() { s.serving <- server.Serve(l) }()
}

func addressOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

func listen(ctx context.Context, given net.Listener, flag, address string) (net.Listener, error) {
	if given != nil {
		return given, nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s=%q: %w", flag, address, err)
	}
	return l, nil
}

func (s *Server) tlsConfig() (*tls.Config, error) {
	if s.cfg.CertFile == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(s.cfg.CertFile, s.cfg.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("cannot serve TLS with --cert-file=%q: %w", s.cfg.CertFile, err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
	}, nil
}

func (s *Server) httpServer(handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxConcurrentStreams,
			SendPingTimeout:      s.settings.PingIdle,
			PingTimeout:          s.settings.PingIdle,
		},
		ErrorLog: slog.NewLogLogger(s.settings.Log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) registerReflection() {
	reflector := grpcreflect.NewStaticReflector(append([]string{healthService}, s.names...)...)
	s.mux.Handle(grpcreflect.NewHandlerV1(reflector))
	s.mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector))
}

// Stop ends the streams, waits for unary calls, and closes the connections; past the deadline of ctx it closes them
// anyway. Further calls return the first result.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() {
		s.stop(errStopping)
		s.mu.Lock()
		public, admin, servers := s.public, s.admin, s.servers
		s.mu.Unlock()
		// The admin port answers until the end: that is when people look.
		for _, server := range []*http.Server{public, admin} {
			if server == nil {
				continue
			}
			if err := server.Shutdown(ctx); err != nil {
				s.stopErr = errors.Join(s.stopErr, fmt.Errorf("cannot end all calls in time: %w", err), server.Close())
			}
		}
		for range servers {
			if err := <-s.serving; err != nil && !errors.Is(err, http.ErrServerClosed) {
				s.stopErr = errors.Join(s.stopErr, err)
			}
		}
		if public == nil { // never started: the listeners that were passed are ours to close all the same
			for _, l := range []net.Listener{s.settings.Listener, s.settings.AdminListener} {
				if l != nil {
					s.stopErr = errors.Join(s.stopErr, l.Close())
				}
			}
		}
	})
	return s.stopErr
}

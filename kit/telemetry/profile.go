package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	otelpyroscope "github.com/grafana/otel-profiling-go"
	"github.com/grafana/pyroscope-go"
)

// setupProfiles starts continuous profiling when PYROSCOPE_SERVER_ADDRESS is set, with profiles linked to spans.
func (t *Telemetry) setupProfiles(s Settings) error {
	address := os.Getenv("PYROSCOPE_SERVER_ADDRESS")
	if address == "" {
		return nil
	}
	// The labels that link profiles to spans are set by every service of a process, the profiler runs once in it.
	t.tracers = otelpyroscope.NewTracerProvider(t.tracers)
	if s.Shared {
		return nil
	}
	profiler, err := pyroscope.Start(pyroscope.Config{
		ApplicationName:   s.Service,
		ServerAddress:     address,
		BasicAuthUser:     os.Getenv("PYROSCOPE_BASIC_AUTH_USER"),
		BasicAuthPassword: os.Getenv("PYROSCOPE_BASIC_AUTH_PASSWORD"),
		Tags:              map[string]string{"service_version": s.Version},
		Logger:            profileLog{t.Log},
	})
	if err != nil {
		return fmt.Errorf("cannot send profiles to PYROSCOPE_SERVER_ADDRESS=%q: %w", address, err)
	}
	t.onShutdown(func(ctx context.Context) error {
		stopped := make(chan error, 1)
		go func() {
			profiler.Flush(true) // Stop drops what was not sent: the last 15 s, which are what one wants to see of a process that ended
			stopped <- profiler.Stop()
		}()
		select {
		case err := <-stopped:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return nil
}

type profileLog struct{ log *slog.Logger }

func (l profileLog) Infof(format string, args ...any)  { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l profileLog) Debugf(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l profileLog) Errorf(format string, args ...any) { l.log.Warn(fmt.Sprintf(format, args...)) }

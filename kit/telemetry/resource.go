package telemetry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/vow-os/vow/kit/telemetry/conv"
)

// newResource says who emits. OTEL_RESOURCE_ATTRIBUTES adds and overrides; OTEL_SERVICE_NAME names the service unless
// it is one of several in its process, which would all get the same name.
func newResource(ctx context.Context, s Settings) (*resource.Resource, error) {
	instance := s.InstanceID
	if instance == "" {
		var b [16]byte
		_, _ = rand.Read(b[:]) // crypto/rand never fails
		instance = hex.EncodeToString(b[:])
	}
	own := []attribute.KeyValue{
		semconv.ServiceName(s.Service),
		semconv.ServiceInstanceID(instance),
		semconv.TelemetrySDKName("opentelemetry"),
		semconv.TelemetrySDKLanguageGo,
	}
	if s.Version != "" {
		own = append(own, semconv.ServiceVersion(s.Version))
	}
	if host, err := os.Hostname(); err == nil {
		own = append(own, semconv.HostName(host))
	}
	env, err := resource.New(ctx, resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrSchemaURLConflict) {
		return nil, err
	}
	// Without its schema URL: the merged resource has ours.
	fromEnv := resource.NewSchemaless(env.Attributes()...)
	merged, err := resource.Merge(resource.NewWithAttributes(conv.SchemaURL, own...), fromEnv)
	if err != nil {
		return nil, err
	}
	if s.Shared {
		return resource.Merge(merged, resource.NewSchemaless(semconv.ServiceName(s.Service)))
	}
	return merged, nil
}

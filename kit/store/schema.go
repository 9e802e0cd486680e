package store

import (
	"context"
	_ "embed" // for schema.lua
	"fmt"
	"strconv"
)

//go:embed schema.lua
var schemaSource string

var schemaScript = NewScript("schema", schemaSource)

const (
	// versionsKey is a hash: service → version of its schema, and the two fields below, which no service is named like.
	versionsKey = "{schema}versions"
	// restoringField is set from the first to the last key of a restore.
	restoringField = "#restoring"
	// lifeField is drawn anew by each restore: with it, the same server is another life.
	lifeField = "#life"
)

// Schema is how a service lays out its keys, and how older layouts become it.
type Schema struct {
	// Service is who owns the keys, e.g. svc-master.
	Service string
	// Upgrades[i] makes version i+2 of version i+1, so that the version is their number plus one. An upgrade may be cut short and run again, and run twice
	// at once, since replicas start together: it changes each key by compare-and-swap, and leaves one that is new already. Replicas of the older version
	// must not run beside it.
	Upgrades []func(context.Context, *Store) error
}

// Version of the layout, from 1.
func (s Schema) Version() int { return len(s.Upgrades) + 1 }

// Use brings the service's keys to its schema, version by version, before it reads any of them. A store without a version has version 1. It refuses a newer
// version than the service knows, and a store whose restore did not end.
func (s *Store) Use(ctx context.Context, schema Schema) error {
	version, err := s.schemaVersion(ctx, schema.Service)
	if err != nil {
		return err
	}
	for version < schema.Version() {
		s.settings.Log.InfoContext(ctx, "upgrading the schema of the store", "store", s.name, "service", schema.Service, "from", version, "to", version+1)
		if err := schema.Upgrades[version-1](ctx, s); err != nil {
			return fmt.Errorf("cannot upgrade the store %s for %s from schema %d to %d: %w; started again, it goes on", s.name, schema.Service, version, version+1, err)
		}
		if err := s.moveSchema(ctx, schema.Service, version); err != nil {
			return err
		}
		version++
	}
	if version > schema.Version() {
		return fmt.Errorf("cannot use the store %s: %s wrote schema %d there, and this version of it knows %d; run the newer version, or restore a backup of before",
			s.name, schema.Service, version, schema.Version())
	}
	return s.moveSchema(ctx, schema.Service, version-1) // of a new store: it is written down
}

func (s *Store) moveSchema(ctx context.Context, service string, from int) error {
	before := strconv.Itoa(max(from, 1))
	if err := s.Run(ctx, schemaScript, []string{versionsKey}, service, before, strconv.Itoa(from+1)).Err(); err != nil {
		return fmt.Errorf("cannot write the schema version of the store %s: %w", s.name, err)
	}
	return nil
}

// schemaVersion of a service's keys.
func (s *Store) schemaVersion(ctx context.Context, service string) (int, error) {
	all, err := s.client.HGetAll(ctx, versionsKey).Result()
	if err != nil {
		return 0, fmt.Errorf("cannot read the schema version of the store %s: %w", s.name, err)
	}
	if file, ok := all[restoringField]; ok {
		return 0, fmt.Errorf("cannot use the store %s: the restore of %s into it did not end; empty it (redis-cli flushall) and restore again", s.name, file)
	}
	text, ok := all[service]
	if !ok {
		return 1, nil
	}
	version, err := strconv.Atoi(text)
	if err != nil || version < 1 {
		return 0, fmt.Errorf("cannot use the store %s: the schema version of %s is %q", s.name, service, text)
	}
	return version, nil
}

// Schemas are the versions of all services that used the store.
func (s *Store) Schemas(ctx context.Context) (map[string]int, error) {
	all, err := s.client.HGetAll(ctx, versionsKey).Result()
	if err != nil {
		return nil, fmt.Errorf("cannot read the schema versions of the store %s: %w", s.name, err)
	}
	versions := map[string]int{}
	for service, text := range all {
		if version, err := strconv.Atoi(text); err == nil && service[0] != '#' {
			versions[service] = version
		}
	}
	return versions, nil
}

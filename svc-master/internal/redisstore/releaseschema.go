package redisstore

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
)

// schemasKey holds the schemas of releases: which one each release has, and each one once, however many releases and computers have it. It is read when a
// replica does not know a release, and written when a node tells of one that is new.
const (
	schemasKey    = "{releases}schemas"
	fieldSchemaOf = "u:" // and the URL of a release
	fieldContent  = "d:" // and a digest
	// maxSchemas is how many fields there may be, two for a release with a schema of its own: 2,000 of 20 KiB are 40 MB.
	maxSchemas = 4_000
	// LimitSchemas names that bound.
	LimitSchemas = "release_schemas"
	// NoSchema is the digest of a release that ships no schema.
	NoSchema = "none"
)

// ReleaseSchema is what is known of the schema of a release; nil = nothing. Errors: *UnavailableError.
func (s *Store) ReleaseSchema(ctx context.Context, url string) (*storev1.ReleaseSchemaRecord, error) {
	r := &storev1.ReleaseSchemaRecord{}
	ok, err := s.schemaField(ctx, fieldSchemaOf+url, func(text string) error { return decode(text, r) })
	if !ok || err != nil {
		return nil, err
	}
	return r, nil
}

// SchemaFiles are those of a digest; nil = they are not there. Errors: *UnavailableError.
func (s *Store) SchemaFiles(ctx context.Context, digest string) (*masterv1.ReleaseSchema, error) {
	r := &masterv1.ReleaseSchema{}
	ok, err := s.schemaField(ctx, fieldContent+digest, func(text string) error { return decode(text, r) })
	if !ok || err != nil {
		return nil, err
	}
	return r, nil
}

func (s *Store) schemaField(ctx context.Context, field string, take func(text string) error) (bool, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	text, err := s.client.HGet(ctx, schemasKey, field).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, &UnavailableError{"cannot read the schema of a software release", err}
	}
	return true, take(text)
}

// KeepReleaseSchema notes the schema of a release; files are those of the digest, nil when whoever tells did not send them. It answers false when they are
// needed. Idempotent. Errors: *UnavailableError.
func (s *Store) KeepReleaseSchema(ctx context.Context, url, digest string, files *masterv1.ReleaseSchema) (bool, error) {
	was, err := s.ReleaseSchema(ctx, url)
	if err != nil {
		return false, err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	failed := func(err error) (bool, error) {
		return false, &UnavailableError{"cannot keep the schema of a software release", err}
	}
	known := digest == NoSchema
	if !known {
		if known, err = s.client.HExists(ctx, schemasKey, fieldContent+digest).Result(); err != nil {
			return failed(err)
		}
	}
	if known && was.GetDigest() == digest {
		return true, nil
	}
	if !known && files == nil {
		return false, nil
	}
	fields, err := s.client.HLen(ctx, schemasKey).Result()
	if err != nil {
		return failed(err)
	}
	if was == nil && fields >= maxSchemas {
		s.limit(LimitSchemas)
		return true, nil // its parameters are not checked
	}
	record, err := encode(&storev1.ReleaseSchemaRecord{Digest: digest, At: timestamppb.Now()})
	if err != nil {
		return false, err
	}
	values := []any{fieldSchemaOf + url, record}
	if !known {
		content, err := encode(files)
		if err != nil {
			return false, err
		}
		values = append(values, fieldContent+digest, content)
	}
	if err := s.client.HSet(ctx, schemasKey, values...).Err(); err != nil {
		return failed(err)
	}
	return true, nil
}

// SchemaFields lists the releases of which a schema, or that they have none, is known, with its digest, and the digests that are kept. Errors: *UnavailableError.
func (s *Store) SchemaFields(ctx context.Context) (releases map[string]*storev1.ReleaseSchemaRecord, digests []string, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	releases = map[string]*storev1.ReleaseSchemaRecord{}
	fields, err := s.client.HKeys(ctx, schemasKey).Result()
	if err != nil {
		return nil, nil, &UnavailableError{"cannot list the schemas of software releases", err}
	}
	var urls []string
	for _, field := range fields {
		if url, ok := strings.CutPrefix(field, fieldSchemaOf); ok {
			urls = append(urls, field)
			releases[url] = nil
		} else if digest, ok := strings.CutPrefix(field, fieldContent); ok {
			digests = append(digests, digest)
		}
	}
	if len(urls) == 0 {
		return releases, digests, nil
	}
	values, err := s.client.HMGet(ctx, schemasKey, urls...).Result()
	if err != nil {
		return nil, nil, &UnavailableError{"cannot list the schemas of software releases", err}
	}
	for i, field := range urls {
		text, _ := values[i].(string)
		r := &storev1.ReleaseSchemaRecord{}
		if err := decode(text, r); err != nil {
			return nil, nil, err
		}
		releases[strings.TrimPrefix(field, fieldSchemaOf)] = r
	}
	return releases, digests, nil
}

// DropSchemas forgets what is known of releases, and digests. Errors: *UnavailableError.
func (s *Store) DropSchemas(ctx context.Context, releases, digests []string) error {
	var fields []string
	for _, url := range releases {
		fields = append(fields, fieldSchemaOf+url)
	}
	for _, digest := range digests {
		fields = append(fields, fieldContent+digest)
	}
	if len(fields) == 0 {
		return nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := s.client.HDel(ctx, schemasKey, fields...).Err(); err != nil {
		return &UnavailableError{"cannot forget schemas of software releases", err}
	}
	return nil
}

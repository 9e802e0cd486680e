package redisstore

import (
	"errors"

	"google.golang.org/protobuf/proto"
)

// encode makes the same bytes of the same record, map order included: records are compared by their bytes.
func encode(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

func decode(value string, into proto.Message) error {
	return proto.Unmarshal([]byte(value), into)
}

func isNotFound(err error) bool {
	var notFound *NotFoundError
	return errors.As(err, &notFound)
}

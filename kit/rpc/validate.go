package rpc

import (
	"errors"
	"fmt"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
)

// Validate checks a message by its declared rules, for one that did not come as a request of a Server, which checks its own. The error is InvalidArgument and names the field.
func Validate(message proto.Message) error {
	err := protovalidate.Validate(message)
	if wrong := new(protovalidate.ValidationError); err == nil || errors.As(err, &wrong) {
		return InvalidArgument(err)
	}
	return Internal(fmt.Errorf("cannot check a %s: %w", message.ProtoReflect().Descriptor().FullName(), err))
}

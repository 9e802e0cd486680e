package rpc_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/vow-os/vow/kit/rpc"
)

// titled is message Titled { string title = 1 [(buf.validate.field).string.min_len = 1]; }, as generated code would
// have it.
func titled(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	options := &descriptorpb.FieldOptions{}
	proto.SetExtension(options, validate.E_Field, &validate.FieldRules{
		Type: &validate.FieldRules_String_{String_: &validate.StringRules{MinLen: proto.Uint64(1)}},
	})
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("titled.proto"), Package: proto.String("vow.test.v1"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("Titled"),
			Field: []*descriptorpb.FieldDescriptorProto{{
				Name: proto.String("title"), JsonName: proto.String("title"), Number: proto.Int32(1), Options: options,
				Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			}},
		}},
	}, nil)
	must(t, err)
	return file.Messages().Get(0)
}

func TestWhatBreaksADeclaredRuleNeverReachesAHandlerAndTheErrorNamesTheField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		descriptor := titled(t)
		calls := 0
		w := newWorld(t, echo{}, nil)
		initialize := func(_ connect.Spec, m any) error {
			if d, ok := m.(*dynamicpb.Message); ok {
				*d = *dynamicpb.NewMessage(descriptor)
			}
			return nil
		}
		const procedure = "/vow.test.v1.TitleService/Set"
		handler := connect.NewUnaryHandlerSimple(procedure, func(context.Context, *dynamicpb.Message) (*emptypb.Empty, error) {
			calls++
			return &emptypb.Empty{}, nil
		}, append(w.server.HandlerOptions(), connect.WithRequestInitializer(initialize))...)
		w.server.HandleHTTP(procedure, handler)
		c := connect.NewClient[dynamicpb.Message, emptypb.Empty](w.client.HTTP(), w.client.BaseURL()+procedure, w.client.Options()...)

		message := dynamicpb.NewMessage(descriptor)
		_, err := c.CallUnary(t.Context(), connect.NewRequest(message))
		if !rpc.IsInvalidArgument(err) || !strings.Contains(err.Error(), "title") || calls != 0 {
			t.Errorf("an empty title: %v, %d calls", err, calls)
		}
		message.Set(descriptor.Fields().Get(0), protoreflect.ValueOfString("a"))
		if _, err := c.CallUnary(t.Context(), connect.NewRequest(message)); err != nil || calls != 1 {
			t.Errorf("a good title: %v, %d calls", err, calls)
		}
		w.stop(t)
	})
}

package doctor

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/telemetry"
)

const (
	// redacted stands for what was taken out.
	redacted = "REDACTED"
	// leastSecret is how long a value must be to be looked for in texts: "80" and "yes" are everywhere, and tell nothing.
	leastSecret = 5
)

// secrets are the values of parameters and connection parameters of trees.
type secrets map[string]bool

// learn the values of a tree; of parameters that travel as one JSON object (`_`) also each value in it.
func (s secrets) learn(tree *masterv1.Tree) {
	for _, i := range tree.GetInstances() {
		for _, values := range []map[string]string{i.GetParameters(), i.GetConnectionParameters()} {
			for _, v := range values {
				s.add(v)
				var inside any
				if json.Unmarshal([]byte(v), &inside) == nil {
					s.walk(inside)
				}
			}
		}
	}
}

func (s secrets) walk(v any) {
	switch v := v.(type) {
	case string:
		s.add(v)
	case []any:
		for _, each := range v {
			s.walk(each)
		}
	case map[string]any:
		for _, each := range v {
			s.walk(each)
		}
	}
}

// add a value, as it is and as JSON spells it.
func (s secrets) add(value string) {
	if len(value) < leastSecret {
		return
	}
	s[value] = true
	if spelled, err := json.Marshal(value); err == nil {
		s[strings.Trim(string(spelled), `"`)] = true
	}
}

// scrubber takes them out of texts, the longest first: one may be part of another.
func (s secrets) scrubber() *strings.Replacer {
	values := make([]string, 0, len(s))
	for v := range s {
		values = append(values, v)
	}
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	var pairs []string
	for _, v := range values {
		pairs = append(pairs, v, redacted)
	}
	return strings.NewReplacer(pairs...)
}

// redact takes values of parameters, and what is secret in URLs, out of a message, in place.
func redact(m proto.Message) {
	redactMessage(m.ProtoReflect())
}

func redactMessage(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			hidden := strings.HasSuffix(string(field.Name()), "parameters")
			value.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				switch {
				case hidden && field.MapValue().Kind() == protoreflect.StringKind:
					value.Map().Set(k, protoreflect.ValueOfString(redacted))
				case field.MapValue().Message() != nil:
					redactMessage(v.Message())
				}
				return true
			})
		case field.IsList() && field.Message() != nil:
			for n := range value.List().Len() {
				redactMessage(value.List().Get(n).Message())
			}
		case field.Message() != nil:
			redactMessage(value.Message())
		case !field.IsList() && field.Kind() == protoreflect.StringKind && strings.Contains(value.String(), "://") && !strings.ContainsAny(value.String(), " \n"):
			m.Set(field, protoreflect.ValueOfString(telemetry.Redacted(value.String())))
		}
		return true
	})
}

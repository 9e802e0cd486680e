package command

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/human"
)

// defaultWidth is the width of a picture when the terminal does not say (COLUMNS).
const defaultWidth = 110

// message writes a protobuf message as JSON, with the field names of the contract.
func (s *session) message(m proto.Message) error { return s.object(jsonMessage{m}) }

// object writes any value as JSON; protobuf messages in it keep the field names of the contract.
func (s *session) object(v any) error {
	encoder := json.NewEncoder(s.out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("cannot write JSON: %w", err)
	}
	return nil
}

// jsonMessage lets encoding/json write a protobuf message, whose own layout is unstable on purpose.
type jsonMessage struct{ proto.Message }

func (m jsonMessage) MarshalJSON() ([]byte, error) {
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(m.Message)
}

// jsonMessages wraps each message.
func jsonMessages[M proto.Message](all []M) []jsonMessage {
	wrapped := make([]jsonMessage, len(all))
	for i, m := range all {
		wrapped[i] = jsonMessage{m}
	}
	return wrapped
}

// json says whether the output is JSON.
func (s *session) json() bool { return s.format == "json" }

// table writes rows in columns; the first row is the heading.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, strings.TrimRight(strings.Join(row, "\t"), "\t "))
	}
	return t.Flush()
}

// colour names a colour for people.
func colour(c *typev1.ColourStatus) string {
	name := "-"
	switch c.GetColour() {
	case typev1.Colour_COLOUR_GREEN:
		name = "Green"
	case typev1.Colour_COLOUR_ORANGE:
		name = "Orange"
	case typev1.Colour_COLOUR_RED:
		name = "Red"
	}
	if c.GetUnconfirmed() {
		name += " (unconfirmed)"
	}
	return name
}

// generation formats a generation; epochs above 1 are worth seeing.
func generation(g *typev1.Generation) string {
	switch {
	case g == nil:
		return "-"
	case g.GetEpoch() > 1:
		return fmt.Sprintf("%d.%d", g.GetEpoch(), g.GetNumber())
	default:
		return fmt.Sprint(g.GetNumber())
	}
}

// age says how long ago a time was.
func age(t *timestamppb.Timestamp, now time.Time) string {
	if t == nil {
		return "never"
	}
	return human.Span(now.Sub(t.AsTime())) + " ago"
}

// until says how long until a time.
func until(t *timestamppb.Timestamp, now time.Time) string {
	if t == nil {
		return "-"
	}
	left := t.AsTime().Sub(now)
	if left <= 0 {
		return "now"
	}
	return "in " + human.Span(left)
}

// width is how wide a picture may be.
func width() int {
	var n int
	if _, err := fmt.Sscanf(os.Getenv("COLUMNS"), "%d", &n); err == nil && n >= 60 {
		return n
	}
	return defaultWidth
}

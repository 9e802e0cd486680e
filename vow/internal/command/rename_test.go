package command

import (
	"context"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

func (*fake) RenameInstance(_ context.Context, r *masterv1.RenameInstanceRequest) (*masterv1.RenameInstanceResponse, error) {
	return &masterv1.RenameInstanceResponse{Instance: &masterv1.Instance{InstanceId: r.GetInstanceId(), Title: r.GetTitle()}}, nil
}

func (f *fake) WatchTreeColours(_ context.Context, _ *masterv1.WatchTreeColoursRequest, stream *connect.ServerStream[masterv1.WatchTreeColoursResponse]) error {
	t := f.tree()
	return stream.Send(&masterv1.WatchTreeColoursResponse{TreeId: t.GetTreeId(), Title: t.GetTitle(), Colour: t.GetColour()}) // and svc-master is gone
}

func (*fake) WatchComputerColours(_ context.Context, _ *masterv1.WatchComputerColoursRequest, stream *connect.ServerStream[masterv1.WatchComputerColoursResponse]) error {
	return stream.Send(&masterv1.WatchComputerColoursResponse{Computer: "laptop", Colour: &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_GREEN}})
}

// An instance is renamed by its tree, or by its title in it.
func TestAnInstanceIsRenamed(t *testing.T) {
	serve(t)
	for _, name := range []string{"hello", "hello/web"} {
		if code, out, errOut := run(t, "rename", name, "site"); code != exitOK || out != "t0123456789ab.i1 is \"site\"\n" {
			t.Errorf("%s: exit %d: %s%s", name, code, out, errOut)
		}
	}
	if code, _, errOut := run(t, "rename", "hello/db", "site"); code != exitFailed || !strings.Contains(errOut, `cannot find instance "hello/db"`) {
		t.Errorf("exit %d: %s", code, errOut)
	}
}

// A watch says each colour once, however often its streams are opened again.
func TestAWatchSaysEachColourOnce(t *testing.T) {
	serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // one of its pauses, and a half
	defer cancel()
	var out, errOut strings.Builder
	if code := Run(ctx, []string{"status", "-w"}, &out, &errOut); code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut.String())
	}
	for _, want := range []string{"computer  laptop", "tree      hello", "web-listens failed"} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, out.String())
		}
	}
}

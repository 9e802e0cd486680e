package command

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// fakeFeed tells two entries of each of two trees, and then is silent until the follower leaves.
type fakeFeed struct {
	masterv1connect.UnimplementedFeedServiceHandler
	mu    sync.Mutex
	asked []*masterv1.FollowRequest
	lost  bool
	bang  bool // the first tree is banged too
}

func (f *fakeFeed) Follow(ctx context.Context, r *masterv1.FollowRequest, stream *connect.ServerStream[masterv1.FollowResponse]) error {
	f.mu.Lock()
	f.asked = append(f.asked, r)
	lost := f.lost
	f.mu.Unlock()
	first := &masterv1.FollowResponse{Start: []*masterv1.Position{{Shard: 1, Epoch: 1, Sequence: 4}}}
	if lost {
		first.Rescan = []*masterv1.Position{{Shard: 1, Epoch: 1, Sequence: 4}}
	}
	if err := stream.Send(first); err != nil {
		return err
	}
	batch := &masterv1.FollowResponse{}
	for n, tree := range []string{"t0123456789ab", "tzzzzzzzzzzzz"} {
		batch.Entries = append(batch.Entries, &masterv1.FeedEntry{
			Position: &masterv1.Position{Shard: 1, Epoch: 1, Sequence: uint64(5 + 2*n)}, At: timestamppb.Now(), Kind: masterv1.FeedEntryKind_FEED_ENTRY_KIND_BEGUN,
			TreeId: tree, Computer: "laptop", Partition: "slappart0", Run: &masterv1.RunHint{},
		}, &masterv1.FeedEntry{
			Position: &masterv1.Position{Shard: 1, Epoch: 1, Sequence: uint64(6 + 2*n)}, At: timestamppb.Now(), Kind: masterv1.FeedEntryKind_FEED_ENTRY_KIND_REPORTED,
			TreeId: tree, Computer: "laptop", Partition: "slappart0", Run: &masterv1.RunHint{Result: typev1.RunResult_RUN_RESULT_FAILURE, ErrorType: "promise"},
		})
	}
	if f.bang {
		batch.Entries = append(batch.Entries, &masterv1.FeedEntry{Position: &masterv1.Position{Shard: 1, Epoch: 1, Sequence: 9}, At: timestamppb.Now(), Kind: masterv1.FeedEntryKind_FEED_ENTRY_KIND_BANG, TreeId: "t0123456789ab"})
	}
	if err := stream.Send(batch); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// lines ends a command once so many lines are out.
type lines struct {
	strings.Builder
	left int
	stop func()
}

func (l *lines) Write(b []byte) (int, error) {
	n, err := l.Builder.Write(b)
	if l.left--; l.left == 0 {
		l.stop()
	}
	return n, err
}

func follow(t *testing.T, number int, args ...string) (code int, out, errOut string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o, e := &lines{left: number, stop: stop}, &strings.Builder{}
	code = Run(ctx, append([]string{"events", "-f", "--kind", "begun,reported,gap"}, args...), o, e)
	return code, o.String(), e.String()
}

// Events are told as they come, of what was asked for, and the next call goes on where this one was.
func TestEventsAreToldOnceAndGoOnWhereTheyWere(t *testing.T) {
	f := serve(t)
	place := filepath.Join(t.TempDir(), "place")
	code, out, errOut := follow(t, 2, "--tree", "hello", "--resume", place, "-o", "json")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	decoder, told := json.NewDecoder(strings.NewReader(out)), []event{}
	for decoder.More() {
		var e event
		if err := decoder.Decode(&e); err != nil {
			t.Fatal(err)
		}
		told = append(told, e)
	}
	if len(told) != 2 || told[0].Kind != "begun" || told[1].Kind != "reported" || told[1].Tree != "hello" || told[1].Text != "laptop/slappart0: run ended, failure (promise)" {
		t.Errorf("told is %v", told)
	}
	f.feed.mu.Lock()
	f.feed.lost = true
	f.feed.mu.Unlock()
	code, out, errOut = follow(t, 3, "--tree", "hello", "--resume", place)
	if code != exitOK || !strings.Contains(out, "gap") || !strings.Contains(out, "shard 1") {
		t.Errorf("exit %d, %s\n%s", code, errOut, out)
	}
	for args, want := range map[string]string{"events": "want vow events -f", "events -f --kind bnag": `of kind "bnag": want changed, bang`} {
		if code, _, errOut := run(t, strings.Fields(args)...); code != exitUsage || !strings.Contains(errOut, want) {
			t.Errorf("%s ends with %d, %s", args, code, errOut)
		}
	}
	f.feed.mu.Lock()
	defer f.feed.mu.Unlock()
	if len(f.feed.asked) != 2 || len(f.feed.asked[0].GetFrom()) != 0 || len(f.feed.asked[1].GetFrom()) != 1 || f.feed.asked[1].GetFrom()[0].GetSequence() < 4 {
		t.Errorf("asked was %v", f.feed.asked)
	}
}

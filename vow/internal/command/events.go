package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/atomicfile"
	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
)

// maxNames bounds how many trees `vow events` remembers the titles of.
const maxNames = 10_000

// eventKinds are what `vow events` tells of.
var eventKinds = []string{"changed", "bang", "withheld", "begun", "reported", "closed", "colour", "verdict", "crime", "gap"}

// event is one thing that happened.
type event struct {
	At          time.Time `json:"at"`
	Kind        string    `json:"kind"`
	Tree        string    `json:"tree,omitempty"`
	TreeID      string    `json:"tree_id,omitempty"`
	Computer    string    `json:"computer,omitempty"`
	Partition   string    `json:"partition,omitempty"`
	InstanceIDs []string  `json:"instance_ids,omitempty"`
	Text        string    `json:"text"`
}

// events is one `vow events`.
type events struct {
	*session
	fleet                *client.Fleet
	tree, computer, file string
	kinds                []string
	// treeID is the id of tree; empty = all.
	treeID string
	// bounded is true when it was told that not all verdicts are followed; only askVerdicts uses it.
	bounded bool

	mu     sync.Mutex // one line at a time, in the order in which they came; nothing else waits for it
	titles map[string]string
	from   map[uint32]*masterv1.Position
}

func newEvents(s *session) *cobra.Command {
	e := &events{session: s, titles: map[string]string{}, from: map[uint32]*masterv1.Position{}}
	follow := false
	command := &cobra.Command{
		Use: "events -f", GroupID: "look", Short: "Show what happens, as it happens: changes, bangs and refusals, runs, convergences, colours, verdicts, crimes",
		Long: "Show what happens, as it happens, until interrupted: changes, bangs and those that were withheld, runs that begin and are reported, convergences that end,\n" +
			"colours and verdicts of promises as they turn, and monitoring crimes. A line, or with -o json an object, for each. Verdicts and crimes have no stream: they are\nasked for each 3 s, and one that turned back meanwhile is not told.\n\nWith --resume FILE the place is kept in FILE and the next call goes on from there; what svc-master does not have any more by then is told as a gap.",
		Example: "  vow events -f\n  vow events -f --tree hello --kind bang,withheld,reported\n  vow events -f --resume ~/.vow-events -o json",
		Args:    arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if !follow {
				return usageError{errors.New("cannot tell what happened: events are only followed: want vow events -f; `vow trace` and `vow why` tell of the past")}
			}
			return e.run(c.Context())
		},
	}
	flags := command.Flags()
	flags.BoolVarP(&follow, "follow", "f", false, "go on until interrupted")
	flags.StringVar(&e.tree, "tree", "", "only of this `tree` (title or id)")
	flags.StringVar(&e.computer, "computer", "", "only on this `computer`: runs, and its own colour")
	flags.StringSliceVar(&e.kinds, "kind", nil, "only these `kinds`: "+strings.Join(eventKinds, ", "))
	flags.StringVar(&e.file, "resume", "", "`file` that keeps the place between two calls")
	_ = command.RegisterFlagCompletionFunc("tree", s.completeTrees)
	_ = command.RegisterFlagCompletionFunc("computer", s.completeComputers)
	_ = command.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(eventKinds, cobra.ShellCompDirectiveNoFileComp))
	return command
}

func (e *events) run(ctx context.Context) error {
	for _, kind := range e.kinds {
		if !slices.Contains(eventKinds, kind) {
			return usageError{fmt.Errorf("cannot show events of kind %q: want %s", kind, strings.Join(eventKinds, ", "))}
		}
	}
	if err := e.load(); err != nil {
		return err
	}
	f, err := e.session.fleet()
	if err != nil {
		return err
	}
	defer f.Close()
	e.fleet = f
	if e.tree != "" {
		tree, err := getTree(ctx, f, e.tree)
		if err != nil {
			return err
		}
		e.treeID = tree.GetTreeId()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	follows := []func() error{func() error { return e.again(ctx, "the feed", func() error { return e.follow(ctx) }) }}
	wants := func(kind string) bool { return len(e.kinds) == 0 || slices.Contains(e.kinds, kind) }
	if wants("verdict") {
		follows = append(follows, func() error { return e.verdicts(ctx) })
	}
	if wants("crime") {
		follows = append(follows, func() error { return e.crimes(ctx) })
	}
	if wants("colour") {
		follows = append(follows, func() error {
			return e.again(ctx, "the colours of trees", func() error {
				stream, err := f.Trees.WatchTreeColours(ctx, &masterv1.WatchTreeColoursRequest{TreeId: e.treeID})
				return receive(stream, err, e.treeColour(ctx, map[string]string{}))
			})
		})
		if e.treeID == "" {
			follows = append(follows, func() error {
				return e.again(ctx, "the colours of computers", func() error {
					stream, err := f.Computers.WatchComputerColours(ctx, &masterv1.WatchComputerColoursRequest{})
					return receive(stream, err, e.computerColour(ctx, map[string]string{}))
				})
			})
		}
	}
	return together(cancel, follows)
}

// follow tells the entries of the feed.
func (e *events) follow(ctx context.Context) error {
	// The name is a label of a metric: one for all.
	request := &masterv1.FollowRequest{Follower: "vow events"}
	for _, p := range e.from {
		request.From = append(request.From, p)
	}
	stream, err := e.fleet.Feed.Follow(ctx, request)
	return receive(stream, err, func(r *masterv1.FollowResponse) error {
		for _, p := range r.GetStart() {
			e.from[p.GetShard()] = p
		}
		for _, p := range r.GetRescan() {
			if err := e.tell(ctx, event{At: time.Now(), Kind: "gap", Text: fmt.Sprintf("what happened in shard %d before now is not known any more", p.GetShard())}); err != nil {
				return err
			}
			e.from[p.GetShard()] = p
		}
		for _, entry := range r.GetEntries() {
			if e.treeID == "" || entry.GetTreeId() == e.treeID {
				if err := e.tell(ctx, e.entry(ctx, entry)); err != nil {
					return err
				}
			}
			e.from[entry.GetPosition().GetShard()] = entry.GetPosition()
		}
		return e.save()
	})
}

// entry words an entry of the feed.
func (e *events) entry(ctx context.Context, m *masterv1.FeedEntry) event {
	told := event{
		At: m.GetAt().AsTime(), TreeID: m.GetTreeId(), Computer: m.GetComputer(), Partition: m.GetPartition(), InstanceIDs: m.GetInstanceIds(),
		Kind: strings.ToLower(strings.TrimPrefix(m.GetKind().String(), "FEED_ENTRY_KIND_")),
	}
	where := m.GetComputer() + "/" + m.GetPartition()
	switch m.GetKind() {
	case masterv1.FeedEntryKind_FEED_ENTRY_KIND_CHANGED:
		told.Text = fmt.Sprintf("%s changed, generation %s", strings.Join(m.GetInstanceIds(), ", "), generation(m.GetGeneration()))
	case masterv1.FeedEntryKind_FEED_ENTRY_KIND_BANG, masterv1.FeedEntryKind_FEED_ENTRY_KIND_WITHHELD:
		told.Text = e.bang(ctx, m)
	case masterv1.FeedEntryKind_FEED_ENTRY_KIND_BEGUN:
		told.Text = where + ": run begun, generation " + generation(m.GetRun().GetGeneration())
	case masterv1.FeedEntryKind_FEED_ENTRY_KIND_REPORTED:
		told.Text = where + ": run ended, " + human.Word(m.GetRun().GetResult(), "RUN_RESULT_")
		if kind := m.GetRun().GetErrorType(); kind != "" {
			told.Text += " (" + kind + ")"
		}
	case masterv1.FeedEntryKind_FEED_ENTRY_KIND_CLOSED:
		told.Text = "convergence ended: vow trace " + m.GetConvergenceId()
	}
	return told
}

// bang words a bang by its record, which may be gone by now.
func (e *events) bang(ctx context.Context, m *masterv1.FeedEntry) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	response, err := e.fleet.Bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: m.GetTreeId(), PageSize: 20})
	if err != nil {
		return m.GetBang().GetBangId() + " (its record was not told: " + rpc.Message(err) + ")"
	}
	for _, b := range response.GetBangs() {
		withheld := m.GetBang() == nil && slices.Contains(m.GetInstanceIds(), b.GetInstanceId()) && b.GetReason() != ""
		if b.GetBangId() != m.GetBang().GetBangId() && !withheld {
			continue
		}
		text := fmt.Sprintf("%s %s of %s %s: %s", b.GetBangId(), human.Word(b.GetOutcome(), "BANG_OUTCOME_"), human.Word(b.GetOrigin(), "BANG_ORIGIN_"), b.GetSource(), human.OneLine(b.GetMessage(), 200))
		if b.GetReason() != "" {
			text += " (" + b.GetReason() + ")"
		}
		return text
	}
	return "bang " + m.GetBang().GetBangId()
}

// treeColour and computerColour tell colours that turn; what a stream begins with is no news.
func (e *events) treeColour(ctx context.Context, shown map[string]string) func(*masterv1.WatchTreeColoursResponse) error {
	return func(r *masterv1.WatchTreeColoursResponse) error {
		now := strings.TrimSuffix(colour(r.GetColour())+": "+r.GetColour().GetReason(), ": ")
		before, known := shown[r.GetTreeId()]
		shown[r.GetTreeId()] = now
		if !known || before == now {
			return nil
		}
		return e.tell(ctx, event{At: time.Now(), Kind: "colour", TreeID: r.GetTreeId(), Tree: r.GetTitle(), Text: human.OneLine(now, 300)})
	}
}

func (e *events) computerColour(ctx context.Context, shown map[string]string) func(*masterv1.WatchComputerColoursResponse) error {
	return func(r *masterv1.WatchComputerColoursResponse) error {
		now := colour(r.GetColour())
		before, known := shown[r.GetComputer()]
		shown[r.GetComputer()] = now
		if !known || before == now {
			return nil
		}
		return e.tell(ctx, event{At: time.Now(), Kind: "colour", Computer: r.GetComputer(), Text: human.OneLine(strings.TrimSuffix("computer "+r.GetComputer()+" is "+now+": "+r.GetColour().GetReason(), ": "), 300)})
	}
}

// tell writes an event, if it is asked for.
func (e *events) tell(ctx context.Context, told event) error {
	if len(e.kinds) > 0 && !slices.Contains(e.kinds, told.Kind) || e.computer != "" && told.Computer != e.computer {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if told.Tree == "" && told.TreeID != "" {
		told.Tree = e.title(ctx, told.TreeID)
	}
	if e.json() {
		return json.NewEncoder(e.out).Encode(told)
	}
	_, err := fmt.Fprintf(e.out, "%s  %-8s  %-20s  %s\n", told.At.Local().Format("15:04:05.000"), told.Kind, told.Tree, told.Text) //nolint:gosmopolitan // people read their own clock
	return err
}

// title is the title of a tree; its id when that is not known.
func (e *events) title(ctx context.Context, treeID string) string {
	if title, ok := e.titles[treeID]; ok {
		return title
	}
	title := treeID
	if tree, err := getTree(ctx, e.fleet, treeID); err == nil {
		title = tree.GetTitle()
	}
	if len(e.titles) < maxNames {
		e.titles[treeID] = title
	}
	return title
}

// load reads the place from the file; none yet = from now on.
func (e *events) load() error {
	if e.file == "" {
		return nil
	}
	content, err := os.ReadFile(e.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	place := new(masterv1.FollowRequest)
	if err == nil {
		err = protojson.Unmarshal(content, place)
	}
	if err != nil {
		return fmt.Errorf("cannot read --resume %s: %w", e.file, err)
	}
	for _, p := range place.GetFrom() {
		e.from[p.GetShard()] = p
	}
	return nil
}

// save writes it, whole or not at all.
func (e *events) save() error {
	if e.file == "" {
		return nil
	}
	place := &masterv1.FollowRequest{}
	for _, p := range e.from {
		place.From = append(place.From, p)
	}
	content, err := protojson.Marshal(place)
	if err == nil {
		err = atomicfile.Write(e.file, content, 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot keep the place in --resume %s: %w", e.file, err)
	}
	return nil
}

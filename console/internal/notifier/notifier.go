package notifier

import (
	"context"
	"errors"
	"net/url"
	"os"
	"time"

	"github.com/vow-os/vow/console/internal/api"
	"github.com/vow-os/vow/console/notify"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

const (
	// stepEvery is how often it is looked what is due.
	stepEvery = time.Second
	// sendTimeout bounds one delivery.
	sendTimeout = 30 * time.Second
	// firstRetry and lastRetry bound the growing delay of a delivery.
	firstRetry = 5 * time.Second
	lastRetry  = 10 * time.Minute
	// bangsAsked is how many bangs of a tree are looked at for a refused one.
	bangsAsked = 20
	// askTimeout bounds that.
	askTimeout = 10 * time.Second
)

// Notifier tells people.
type Notifier struct {
	fleet  *api.Fleet
	file   string
	memory *memory
	t      *telemetry.Telemetry
	limits conv.Counter

	// of the one goroutine that decides:
	config  *config
	read    time.Time // when the file was changed last
	state   notify.State
	titles  map[string]string // of trees by id
	busy    map[string]bool   // receivers with a delivery under way
	unsaved bool

	observed chan func(now time.Time)
	sent     chan outcome
}

// outcome of a delivery.
type outcome struct {
	delivery notify.Delivery
	err      error
}

// New reads the file of rules and locks the state; nothing is followed before Start.
func New(fleet *api.Fleet, file, state string, t *telemetry.Telemetry) (*Notifier, error) {
	c, err := read(file)
	if err != nil {
		return nil, err
	}
	n := &Notifier{
		fleet: fleet, file: file, t: t, limits: conv.LimitHits.New(t.Meter("console/notifier")), config: c, titles: map[string]string{}, busy: map[string]bool{},
		observed: make(chan func(time.Time), 1000), sent: make(chan outcome, maxReceivers),
	}
	n.read = changed(file)
	if n.memory, n.state, err = open(state); err != nil {
		return nil, err
	}
	return n, nil
}

func changed(file string) time.Time {
	info, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// Start follows and tells until the group ends.
func (n *Notifier) Start(group *app.Group) {
	for name, follow := range map[string]func(context.Context, func()) bool{"trees": n.trees, "computers": n.computers, "bangs": n.bangs} {
		group.Go("notify "+name, func(ctx context.Context) error {
			api.Keep(ctx, name, follow, func() {}) // svc-master is away: what is the case then is told afterwards
			return nil
		})
	}
	group.Go("notify", func(ctx context.Context) error {
		n.run(ctx, group)
		return nil
	})
}

// Close gives the state to the next.
func (n *Notifier) Close() error { return n.memory.close() }

// run decides, alone.
func (n *Notifier) run(ctx context.Context, group *app.Group) {
	tick := time.NewTicker(stepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case observe := <-n.observed:
			observe(time.Now())
			continue // saved with the next tick: it is observed again
		case o := <-n.sent:
			n.ended(ctx, o, time.Now())
		case <-tick.C:
			n.reload(ctx)
		}
		now := time.Now()
		changed, dropped := n.state.Step(n.config.rules, now)
		if dropped > 0 {
			n.limits.Add(ctx, int64(dropped), conv.LimitName.String("notifications"))
			n.t.Log.WarnContext(ctx, "notifications were given up", "count", dropped)
		}
		if n.unsaved = n.unsaved || changed; n.unsaved {
			if err := n.memory.save(&n.state); err != nil {
				n.t.Log.ErrorContext(ctx, "cannot remember what was told: nothing is sent until then", "error", err)
				continue
			}
			n.unsaved = false
		}
		for _, d := range n.state.Due(now) {
			to := n.config.receivers[d.Receiver]
			if to == nil || n.busy[d.Receiver] {
				continue
			}
			n.busy[d.Receiver] = true
			group.Go("notify "+d.Receiver, func(ctx context.Context) error {
				sending, cancel := context.WithTimeout(ctx, sendTimeout)
				defer cancel()
				ended := outcome{d, to.send(sending, d.Message, time.Now())}
				select {
				case n.sent <- ended:
				case <-ctx.Done(): // it is sent again, with the same id
				}
				return nil
			})
		}
	}
}

// ended writes down how a delivery ended.
func (n *Notifier) ended(ctx context.Context, o outcome, now time.Time) {
	d := o.delivery
	delete(n.busy, d.Receiver)
	n.unsaved = true
	var refused refusedError
	switch {
	case o.err == nil:
		n.state.Delivered(d.Receiver, d.Message.ID)
	case errors.As(o.err, &refused):
		n.state.Delivered(d.Receiver, d.Message.ID)
		n.t.Log.ErrorContext(ctx, "a notification is refused", "receiver", d.Receiver, "message", d.Message.ID, "error", o.err)
	default:
		n.state.Failed(d.Receiver, d.Message.ID, func(attempt int) time.Time { return now.Add(backoff.Delay(attempt, d.Receiver, firstRetry, lastRetry)) })
		n.t.Log.WarnContext(ctx, "a notification is not delivered yet", "receiver", d.Receiver, "message", d.Message.ID, "attempt", d.Attempts+1, "error", o.err)
	}
}

// reload reads the rules again when their file has changed.
func (n *Notifier) reload(ctx context.Context) {
	at := changed(n.file)
	if at.Equal(n.read) {
		return
	}
	n.read = at
	c, err := read(n.file)
	if err != nil {
		n.t.Log.ErrorContext(ctx, "the rules of notifications stay as they were", "error", err)
		return
	}
	n.config = c
}

// observe has the one who decides do something.
func (n *Notifier) observe(ctx context.Context, what func(now time.Time)) {
	select {
	case n.observed <- what:
	case <-ctx.Done():
	}
}

func (n *Notifier) trees(ctx context.Context, heard func()) bool {
	stream, err := n.fleet.Trees.WatchTreeColours(ctx, &masterv1.WatchTreeColoursRequest{})
	_ = api.Each(stream, err, func(m *masterv1.WatchTreeColoursResponse) {
		heard()
		n.observe(ctx, func(now time.Time) { n.tree(m, now) })
	})
	return false
}

// tree takes the colour of one. A tree without colour is stopped, by somebody who knows: nothing is told of it.
func (n *Notifier) tree(m *masterv1.WatchTreeColoursResponse, now time.Time) {
	before := n.titles[m.GetTreeId()]
	n.titles[m.GetTreeId()] = m.GetTitle()
	if before != "" && before != m.GetTitle() || m.GetColour() == nil {
		n.gone("tree/"+before, "bangs/"+before)
	}
	if m.GetColour() == nil {
		delete(n.titles, m.GetTreeId())
		return
	}
	fact := notify.Fact{Thing: "tree/" + m.GetTitle(), Name: m.GetTitle(), Link: n.link("/trees/" + m.GetTreeId()), Text: human.OneLine(m.GetColour().GetReason(), 300), Since: since(m.GetColour(), now)}
	switch {
	case m.GetColour().GetUnconfirmed():
		return
	case m.GetColour().GetColour() == typev1.Colour_COLOUR_RED:
		fact.Kind = notify.TreeRed
	case m.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN:
		fact.Kind, fact.Text = notify.TreeGreen, ""
	default:
		n.gone(fact.Thing)
		return
	}
	n.unsaved = n.state.Observe(fact, now) || n.unsaved
}

func (n *Notifier) gone(things ...string) {
	for _, thing := range things {
		n.unsaved = n.state.Gone(thing) || n.unsaved
	}
}

func (n *Notifier) computers(ctx context.Context, heard func()) bool {
	stream, err := n.fleet.Computers.WatchComputerColours(ctx, &masterv1.WatchComputerColoursRequest{})
	_ = api.Each(stream, err, func(m *masterv1.WatchComputerColoursResponse) {
		heard()
		n.observe(ctx, func(now time.Time) { n.computer(m, now) })
	})
	return false
}

func (n *Notifier) computer(m *masterv1.WatchComputerColoursResponse, now time.Time) {
	fact := notify.Fact{Thing: "computer/" + m.GetComputer(), Name: m.GetComputer(), Link: n.link("/computers/" + url.PathEscape(m.GetComputer())), Text: human.OneLine(m.GetColour().GetReason(), 300), Since: since(m.GetColour(), now)}
	switch {
	case m.GetColour() == nil:
		n.gone(fact.Thing)
		return
	case m.GetColour().GetUnconfirmed():
		return
	case m.GetColour().GetColour() == typev1.Colour_COLOUR_RED:
		fact.Kind = notify.ComputerDead
	case m.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN:
		fact.Kind, fact.Text = notify.ComputerBack, ""
	default:
		return // Orange: silent, not dead yet; or still not back
	}
	n.unsaved = n.state.Observe(fact, now) || n.unsaved
}

// bangs follows the feed for bangs that were withheld, and asks whether they were refused.
func (n *Notifier) bangs(ctx context.Context, heard func()) bool {
	stream, err := n.fleet.Feed.Follow(ctx, &masterv1.FollowRequest{Follower: "console notify"})
	asked := map[string]string{} // by tree: the day of the last refusal that was seen
	_ = api.Each(stream, err, func(m *masterv1.FollowResponse) {
		heard()
		for _, e := range m.GetEntries() {
			if e.GetKind() != masterv1.FeedEntryKind_FEED_ENTRY_KIND_WITHHELD || asked[e.GetTreeId()] == day(e.GetAt().AsTime()) {
				continue
			}
			b := n.refused(ctx, e.GetTreeId())
			if b == nil {
				continue
			}
			if len(asked) >= notify.MaxThings {
				clear(asked)
			}
			asked[e.GetTreeId()] = day(b.GetAt().AsTime())
			n.observe(ctx, func(now time.Time) {
				title := n.titles[e.GetTreeId()]
				if title == "" {
					title = e.GetTreeId()
				}
				n.unsaved = n.state.Observe(notify.Fact{
					Thing: "bangs/" + title, Kind: notify.BangsRefused, Name: title, Text: human.OneLine(b.GetSource()+": "+b.GetReason(), 300), Link: n.link("/trees/" + e.GetTreeId() + "/bangs?withheld=1"),
					Once: day(b.GetAt().AsTime()), Since: b.GetAt().AsTime(),
				}, now) || n.unsaved
			})
		}
	})
	return false
}

// refused is the newest refused bang of a tree; nil if none of the newest was.
func (n *Notifier) refused(ctx context.Context, tree string) *masterv1.Bang {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := n.fleet.Bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: tree, PageSize: bangsAsked})
	if err != nil {
		return nil // the next that is withheld asks again
	}
	for _, b := range answer.GetBangs() {
		if b.GetOutcome() == masterv1.BangOutcome_BANG_OUTCOME_REFUSED {
			return b
		}
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func since(c *typev1.ColourStatus, now time.Time) time.Time {
	if c.GetSince() == nil {
		return now
	}
	return c.GetSince().AsTime()
}

// link is the URL of a page of the console; empty if the rules do not say where that is.
func (n *Notifier) link(page string) string {
	if n.config.Link == "" {
		return ""
	}
	return n.config.Link + page
}

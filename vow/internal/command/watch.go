package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
	"github.com/vow-os/vow/vow/internal/terminal"
	"github.com/vow-os/vow/vow/internal/watch"
)

const (
	// drawEvery is how often the screen is drawn at most; after redrawn it is drawn without news, since ages grow.
	drawEvery = 100 * time.Millisecond
	redrawn   = time.Second
	// askAgenda is how often the agenda is asked for: it has no stream.
	askAgenda = 3 * time.Second
	// maxFollowed bounds the convergences that are followed at once; others wait for one to end, and the screen says how many.
	maxFollowed = 50
)

// watching is one `vow watch`.
type watching struct {
	*session
	fleet  *client.Fleet
	screen bool

	mu       sync.Mutex // never held while anything waits, but for a line to be written
	board    *watch.Board
	dirty    bool
	followed map[string]bool // trees whose convergence is followed, or waits to be; true = another bang came

	room      chan struct{} // has one for each convergence that is followed
	followers sync.WaitGroup
}

// newWatch is `vow watch`: the trees and their convergences, live.
func newWatch(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "watch", GroupID: "look", Short: "Watch trees, computers and convergences, live",
		Long: "Watch trees with their colours, reasons and next runs, computers that are not Green, and convergences with their progress, until interrupted.\n\n" +
			"Keys: q quits, r hides what is Green, the arrows scroll. Where the output is no terminal: a line for each thing that turns; with -o json an object a line.",
		Example: "  vow watch\n  vow watch | tee what-happened\n  vow watch -o json",
		Args:    arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			f, err := s.fleet()
			if err != nil {
				return err
			}
			defer f.Close()
			w := &watching{session: s, fleet: f, board: watch.New(), followed: map[string]bool{}, room: make(chan struct{}, maxFollowed)}
			out, isFile := s.out.(*os.File)
			w.screen = isFile && !s.json() && terminal.Is(out)
			s.absence.drawn = w.screen
			if !w.screen {
				return w.follow(ctx)
			}
			return w.show(ctx, out)
		},
	}
}

// show draws the screen until somebody quits.
func (w *watching) show(ctx context.Context, out *os.File) (err error) {
	screen, err := terminal.Open(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, screen.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.follow(ctx) }()
	defer func() {
		cancel()
		if ended != nil {
			err = errors.Join(err, <-ended)
		}
	}()
	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	view := watch.View{Colours: os.Getenv("NO_COLOR") == ""}
	var drawn time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case failed := <-ended:
			ended = nil
			return failed
		case key, open := <-screen.Keys:
			if !open || key == "q" {
				return nil
			}
			_, height := screen.Size()
			switch key {
			case "r":
				view.Open, view.Top = !view.Open, 0
			case terminal.Up, terminal.Down:
				view.Top += map[terminal.Key]int{terminal.Up: -1, terminal.Down: 1}[key]
			case terminal.PageUp, terminal.PageDown:
				view.Top += map[terminal.Key]int{terminal.PageUp: -1, terminal.PageDown: 1}[key] * height / 2
			case terminal.Home:
				view.Top = 0
			}
			drawn = time.Time{}
		case <-screen.Resized:
			drawn = time.Time{}
		case <-tick.C:
		}
		if view.Now = time.Now(); !w.news() && view.Now.Sub(drawn) < redrawn {
			continue
		}
		drawn = view.Now
		view.Width, view.Height = screen.Size()
		w.mu.Lock()
		w.board.Sweep(view.Now)
		lines, bottom := w.board.Draw(view)
		w.mu.Unlock()
		view.Top = min(max(0, view.Top), bottom)
		if err := screen.Draw(lines); err != nil {
			return err
		}
	}
}

// news says whether something changed since it was asked last.
func (w *watching) news() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	dirty := w.dirty
	w.dirty = false
	return dirty
}

// follow keeps the board until ctx ends.
func (w *watching) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer w.followers.Wait()
	// Bangs are followed first: one that comes after the first colour was told is seen.
	followed := make(chan struct{})
	begun := sync.OnceFunc(func() { close(followed) })
	after := func(open func() error) func() error {
		return func() error {
			select {
			case <-followed:
				return open()
			case <-ctx.Done():
				return nil
			}
		}
	}
	follows := []func() error{
		func() error { // bangs open convergences
			return w.keep(ctx, "bangs", "", func() error { return w.bangs(ctx, begun) })
		},
		after(func() error {
			return w.keep(ctx, "the colours of trees", "tree", func() error {
				stream, err := w.fleet.Trees.WatchTreeColours(ctx, &masterv1.WatchTreeColoursRequest{})
				return receive(stream, err, func(r *masterv1.WatchTreeColoursResponse) error {
					return w.take(func(now time.Time) []watch.Change { return w.board.Tree(r, now) })
				})
			})
		}),
		after(func() error {
			return w.keep(ctx, "the colours of computers", "computer", func() error {
				stream, err := w.fleet.Computers.WatchComputerColours(ctx, &masterv1.WatchComputerColoursRequest{})
				return receive(stream, err, func(r *masterv1.WatchComputerColoursResponse) error {
					return w.take(func(now time.Time) []watch.Change { return w.board.Computer(r, now) })
				})
			})
		}),
	}
	if w.screen {
		follows = append(follows, func() error { return w.agenda(ctx) })
	}
	return together(cancel, follows)
}

// keep opens a stream again and again; while svc-master is away the board says so.
func (w *watching) keep(ctx context.Context, what, kind string, open func() error) error {
	return w.again(ctx, what, func() error {
		w.mu.Lock()
		w.board.Opened(kind, time.Now())
		w.mu.Unlock()
		err := open()
		if ctx.Err() == nil && err != nil {
			w.mu.Lock()
			w.board.Away("svc-master", time.Now())
			w.mu.Unlock()
		}
		return err
	})
}

// take puts something on the board, and tells what is news where there is no screen.
func (w *watching) take(put func(now time.Time) []watch.Change) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.board.Back("svc-master")
	changes := put(time.Now())
	w.dirty = true
	if w.screen {
		return nil
	}
	for _, c := range changes {
		var err error
		if w.json() {
			err = json.NewEncoder(w.out).Encode(c)
		} else {
			_, err = fmt.Fprintf(w.out, "%s  %s\n", c.At.Format(time.TimeOnly), c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bangs follows the feed from its end, after the convergences that are open.
func (w *watching) bangs(ctx context.Context, begun func()) error {
	stream, err := w.fleet.Feed.Follow(ctx, &masterv1.FollowRequest{Follower: "vow watch"})
	return receive(stream, err, func(r *masterv1.FollowResponse) error {
		if len(r.GetStart()) > 0 {
			trees, err := w.fleet.AllTrees(ctx)
			if err != nil {
				return err
			}
			for _, t := range trees {
				if t.GetConvergenceId() != "" {
					w.banged(ctx, t.GetTreeId())
				}
			}
			begun()
		}
		for _, e := range r.GetEntries() {
			if e.GetKind() == masterv1.FeedEntryKind_FEED_ENTRY_KIND_BANG {
				w.banged(ctx, e.GetTreeId())
			}
		}
		return nil
	})
}

// banged follows the convergence of a tree, once there is room.
func (w *watching) banged(ctx context.Context, tree string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.followed[tree]; known {
		w.followed[tree] = true
		return
	}
	w.followed[tree] = false
	w.board.Waiting++
	w.followers.Go(func() {
		select {
		case w.room <- struct{}{}:
			defer func() { <-w.room }()
		case <-ctx.Done():
			return
		}
		w.mu.Lock()
		w.board.Waiting--
		w.mu.Unlock()
		w.converge(ctx, tree)
	})
}

// converge follows the convergences of a tree until none is open; of one that is over by now only its end is seen.
func (w *watching) converge(ctx context.Context, tree string) {
	seen := ""
	for ctx.Err() == nil {
		w.mu.Lock()
		w.followed[tree] = false
		w.mu.Unlock()
		newest, err := w.fleet.Convergences.ListConvergences(ctx, &masterv1.ListConvergencesRequest{TreeId: tree, PageSize: 1})
		if id := first(newest.GetConvergences()).GetConvergenceId(); err == nil && id != seen {
			seen = id
			stream, err := w.fleet.Convergences.WatchConvergence(ctx, &masterv1.WatchConvergenceRequest{Id: id})
			_ = receive(stream, err, func(r *masterv1.WatchConvergenceResponse) error { // where it broke is asked again with the next bang
				return w.take(func(now time.Time) []watch.Change { return w.board.Convergence(r.GetConvergence(), now) })
			})
		}
		w.mu.Lock()
		if !w.followed[tree] || err != nil {
			delete(w.followed, tree)
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
	}
}

func first[T any](all []*T) *T {
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// agenda asks for it now and then.
func (w *watching) agenda(ctx context.Context) error {
	tick := time.NewTicker(askAgenda)
	defer tick.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, callTimeout)
		response, err := w.fleet.Agenda.ListAgenda(asking, &schedulerv1.ListAgendaRequest{})
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		w.mu.Lock()
		w.dirty = true
		switch {
		case err == nil:
			w.board.Back("svc-scheduler")
			w.board.Agenda(response.GetEntries())
		case rpc.IsUnavailable(err), rpc.IsDeadlineExceeded(err):
			w.board.Away("svc-scheduler", time.Now())
		default:
			w.mu.Unlock()
			return fmt.Errorf("cannot ask for the agenda: %w", err)
		}
		w.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

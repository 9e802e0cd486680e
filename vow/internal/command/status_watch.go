package command

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/human"
)

// watchStatus writes a line, or an object, for each colour that turns, beginning with all of them. It opens the streams again when svc-master was away.
func (s *session) watchStatus(ctx context.Context) error {
	f, err := s.fleet()
	if err != nil {
		return err
	}
	defer f.Close()
	w := &colours{session: s, shown: map[string]string{}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err = together(cancel, []func() error{
		func() error {
			return s.again(ctx, "the colours of computers", func() error {
				stream, err := f.Computers.WatchComputerColours(ctx, &masterv1.WatchComputerColoursRequest{})
				return receive(stream, err, w.computer)
			})
		},
		func() error {
			return s.again(ctx, "the colours of trees", func() error {
				stream, err := f.Trees.WatchTreeColours(ctx, &masterv1.WatchTreeColoursRequest{})
				return receive(stream, err, w.tree)
			})
		},
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// stream is what comes of a watch.
type stream[M any] interface {
	Receive() bool
	Msg() *M
	Err() error
	Close() error
}

func receive[M any](stream stream[M], err error, each func(*M) error) error {
	if err != nil {
		return err
	}
	for stream.Receive() {
		if err := each(stream.Msg()); err != nil {
			return errors.Join(err, stream.Close())
		}
	}
	return errors.Join(stream.Err(), stream.Close())
}

// colours is what was shown of each thing; a stream that is opened again says all anew, which is no news.
type colours struct {
	*session
	mu    sync.Mutex
	shown map[string]string
}

func (w *colours) computer(r *masterv1.WatchComputerColoursResponse) error {
	text := colour(r.GetColour())
	if r.GetColour() == nil {
		text = "forgotten"
	}
	return w.line("computer", r.GetComputer(), text, r.GetColour().GetReason(), text, r)
}

func (w *colours) tree(r *masterv1.WatchTreeColoursResponse) error {
	text, all := colour(r.GetColour()), ""
	if r.GetColour() == nil {
		text = "gone"
	}
	for _, i := range r.GetInstances() {
		all += i.GetInstanceId() + colour(i.GetColour()) + i.GetError()
	}
	name := r.GetTitle()
	if name == "" {
		name = r.GetTreeId()
	}
	return w.line("tree", name, text, r.GetColour().GetReason(), text+r.GetColour().GetReason()+all, r)
}

// line writes what is news: state is what it is told by.
func (w *colours) line(kind, name, text, reason, state string, message proto.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shown[kind+name] == state {
		return nil
	}
	w.shown[kind+name] = state
	if w.json() {
		return w.message(message)
	}
	_, err := fmt.Fprintf(w.out, "%s  %-8s  %-20s  %-8s  %s\n", time.Now().Format(time.TimeOnly), kind, name, text, human.OneLine(reason, 100))
	return err
}

// together follows several things until one of them ends, and then has the others end by cancel.
func together(cancel context.CancelFunc, follows []func() error) error {
	ended := make(chan error, len(follows))
	for _, one := range follows {
		go func() { ended <- one() }()
	}
	first := <-ended
	cancel()
	for range len(follows) - 1 {
		first = errors.Join(first, <-ended)
	}
	return first
}

package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/kit/rpc"
)

// atOnce is how many questions of one page are asked at the same time.
const atOnce = 8

// each asks about every member of a list, atOnce at a time; it returns when all are answered.
func each[T any](list []T, do func(i int, of T)) {
	var all sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for i, of := range list {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			do(i, of)
		})
	}
	all.Wait()
}

// unknown says that a service did not answer, and what is therefore not shown; nil error = nothing to say.
func unknown(list []string, what, service string, err error) []string {
	if err == nil || rpc.IsNotFound(err) {
		return list
	}
	text := fmt.Sprintf("%s: %s did not answer", what, service)
	if !rpc.IsUnavailable(err) && !errors.Is(err, context.DeadlineExceeded) {
		text = fmt.Sprintf("%s: %s: %s", what, service, human.OneLine(err.Error(), 200))
	}
	return append(list, text)
}

// rank puts what is red first, then orange, green, and what has no colour.
func rank(c *typev1.ColourStatus) int {
	switch c.GetColour() {
	case typev1.Colour_COLOUR_RED:
		return 0
	case typev1.Colour_COLOUR_ORANGE:
		return 1
	case typev1.Colour_COLOUR_GREEN:
		return 2
	default:
		return 3
	}
}

// tally counts colours.
type tally struct{ Red, Orange, Green, None, All int }

func (t *tally) add(c *typev1.ColourStatus) {
	t.All++
	switch c.GetColour() {
	case typev1.Colour_COLOUR_RED:
		t.Red++
	case typev1.Colour_COLOUR_ORANGE:
		t.Orange++
	case typev1.Colour_COLOUR_GREEN:
		t.Green++
	default:
		t.None++
	}
}

// has says whether a list is to be cut to one colour, as ?colour= asks.
func has(r *http.Request, c *typev1.ColourStatus) bool {
	asked := r.URL.Query().Get("colour")
	return asked == "" || asked == colourOf(c).Class
}

// shownColour of an instance: one that is started and has no partition is Red, as its tree is.
func shownColour(i *masterv1.Instance) *typev1.ColourStatus {
	if i.GetAllocationId() == "" && i.GetHostId() == "" && i.GetState() == typev1.RequestedState_REQUESTED_STATE_STARTED {
		return &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_RED, Reason: "no partition: " + i.GetUnallocatedReason()}
	}
	return i.GetStatus().GetColour()
}

func notFound(format string, args ...any) error { return rpc.Errorf(rpc.CodeNotFound, format, args...) }

package alarm_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-promise/internal/alarm"
	"github.com/vow-os/vow/svc-promise/verdict"
)

var (
	errAway   = errors.New("svc-master is away")
	errBroken = errors.New("svc-master is at fault")
)

// teller is svc-master: it answers with err until that is nil, and remembers what it was told.
type teller struct {
	mu   sync.Mutex
	err  error
	told []alarm.Bang
}

func (t *teller) Bang(_ context.Context, b alarm.Bang) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = append(t.told, b)
	return t.err
}

func (*teller) Retryable(err error) bool { return errors.Is(err, errAway) }
func (*teller) Decided(err error) bool   { return !errors.Is(err, errAway) && !errors.Is(err, errBroken) }

func (t *teller) answer(err error) (told []alarm.Bang) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = err
	return t.told
}

// raised tells a story about one alarm; gaveUp are the bangs that could not be told.
func raised(t *testing.T, story func(t *testing.T, a *alarm.Alarm, master *teller, gaveUp *[]alarm.Bang)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		told := telemetry.OrDisabled(nil)
		group := app.NewGroup(t.Context(), told.Log)
		master, gaveUp := &teller{}, &[]alarm.Bang{}
		a := alarm.New(alarm.Settings{Teller: master, Telemetry: told, Group: group, GaveUp: func(b alarm.Bang) { *gaveUp = append(*gaveUp, b) }})
		story(t, a, master, gaveUp)
		if err := group.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func bang(success string) alarm.Bang {
	return alarm.Bang{Computer: "one", Partition: "p0", Allocation: "t1.a1", Promise: "http", Runs: verdict.Runs{LatestSuccess: true, LastSuccess: success}}
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// While a bang waits for svc-master the partition may run and its promise fail again: that is another bang, which svc-master may not take for the first one.
func TestABangOfALaterRunIsToldAfterTheOneThatIsOnItsWay(t *testing.T) {
	raised(t, func(t *testing.T, a *alarm.Alarm, master *teller, _ *[]alarm.Bang) {
		master.answer(errAway)
		first := a.Raise(t.Context(), bang("run-1"))
		a.Raise(t.Context(), bang("run-2"))
		second := a.Raise(t.Context(), bang("run-3"))
		time.Sleep(time.Second)
		if ended(first) || ended(second) {
			t.Fatal("a batch may be acknowledged although svc-master knows nothing")
		}
		before := len(master.answer(nil))
		time.Sleep(time.Minute)
		told := master.answer(nil)[before:]
		if len(told) != 2 || told[0].Runs.LastSuccess != "run-1" || told[1].Runs.LastSuccess != "run-3" {
			t.Fatalf("svc-master was told %+v, want the first bang and the newest", told)
		}
		if !ended(first) || !ended(second) || len(a.Pending("t1.a1")) != 0 {
			t.Fatal("what was told is still on its way")
		}
	})
}

// A bang that svc-master failed to take, without deciding about it, is tried again with the promise's next group.
func TestABangThatNobodyDecidedAboutIsTriedAgain(t *testing.T) {
	raised(t, func(t *testing.T, a *alarm.Alarm, master *teller, gaveUp *[]alarm.Bang) {
		master.answer(errBroken)
		<-a.Raise(t.Context(), bang("run-1"))
		if len(*gaveUp) != 1 {
			t.Fatalf("%d bangs were given back, want 1", len(*gaveUp))
		}
		master.answer(errors.New("refused: the quota is used up"))
		<-a.Raise(t.Context(), bang("run-1"))
		if len(*gaveUp) != 1 {
			t.Fatal("a bang that was decided about was given back")
		}
	})
}

package redisstore

import (
	"testing"
	"time"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/kit/wellknown"
)

// Of each bang that was satisfied it stays known that it was, however many were after it; of the newest rounds when. What was never satisfied is never told to be.
func TestThatABangWasSatisfiedStaysKnown(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	at := func(number uint64) time.Time { return start.Add(time.Duration(number) * time.Second) }
	a := &aggregate{}
	const rounds, withheld = 3 * maxSatisfied, 7 // each round is two bangs
	for n := uint64(1); n < 2*rounds; n += 2 {
		if n == withheld {
			continue
		}
		a.satisfied = append(bounded(a.satisfied), &storev1.SatisfiedRecord{First: n, Last: n + 1, At: wellknown.Timestamp(at(n + 1))})
		if len(a.satisfied) > maxSatisfied {
			t.Fatalf("%d ranges are kept, want %d", len(a.satisfied), maxSatisfied)
		}
	}
	for n := uint64(1); n <= 2*rounds; n++ {
		told := a.satisfiedAt(n)
		switch exact := at(n + n%2); {
		case n == withheld || n == withheld+1:
			if !told.IsZero() {
				t.Errorf("bang %d, which was not satisfied, is told to be at %s", n, told)
			}
		case told.Before(exact):
			t.Errorf("bang %d was satisfied at %s and is told to be at %s", n, exact, told)
		case n > 2*(rounds-maxSatisfied/2) && !told.Equal(exact):
			t.Errorf("bang %d, one of the newest, was satisfied at %s and is told to be at %s", n, exact, told)
		}
	}
}

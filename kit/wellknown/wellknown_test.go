package wellknown_test

import (
	"testing"
	"time"

	"github.com/vow-os/vow/kit/wellknown"
)

func TestZeroIsUnset(t *testing.T) {
	t.Parallel()
	if got := wellknown.Timestamp(time.Time{}); got != nil {
		t.Errorf("the zero time is %v, not an unset field", got)
	}
	if got := wellknown.Time(nil); !got.IsZero() {
		t.Errorf("an unset field is %v, not the zero time", got)
	}
	if got := wellknown.Duration(0); got != nil {
		t.Errorf("no duration is %v, not an unset field", got)
	}
}

func TestWhatIsSetComesBack(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{time.Unix(0, 0), time.Unix(-1, 999_999_999), time.Date(2026, 11, 22, 20, 15, 0, 1, time.Local)} { //nolint:gosmopolitan // that a zone is no part of a time
		if got := wellknown.Time(wellknown.Timestamp(at)); !got.Equal(at) || got.Location() != time.UTC {
			t.Errorf("%v comes back as %v", at, got)
		}
	}
	for _, d := range []time.Duration{1, -time.Second, 24 * time.Hour} {
		if got := wellknown.Duration(d).AsDuration(); got != d {
			t.Errorf("%v comes back as %v", d, got)
		}
	}
}

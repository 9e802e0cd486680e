package fleet_test

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// slack and share are how far a time may be from what a story says. Of what happens at one instant of virtual time the Go
// scheduler decides what is first, and svc-master reads its feed with pauses of 2 ms: in a row of ten such reads a story moves
// by 20 ms. What a service waits for after a crash (a reconnect, a ping) grows with the outage.
const (
	slack = 20 * time.Millisecond
	share = 20 // 1/20
)

var moment = regexp.MustCompile(`(\+|took |after )((?:[0-9]+h)?(?:[0-9]+m)?[0-9.]+m?s)`)

// same tells whether two texts have the same lines, but for moments that are nearly the same, and for the order of lines
// that only such moments decide.
func same(want, got string) bool {
	if want == got {
		return true
	}
	wanted, found := lines(want), lines(got)
	if len(wanted) != len(found) {
		return false
	}
	for i := range wanted {
		if wanted[i].text != found[i].text || len(wanted[i].moments) != len(found[i].moments) {
			return false
		}
		for k, at := range wanted[i].moments {
			if d := (at - found[i].moments[k]).Abs(); d > slack+at/share {
				return false
			}
		}
	}
	return true
}

// line is a line without its moments.
type line struct {
	text    string
	moments []time.Duration
}

func lines(text string) []line {
	var all []line
	for l := range strings.Lines(text) {
		var one line
		one.text = moment.ReplaceAllStringFunc(l, func(found string) string {
			parts := moment.FindStringSubmatch(found)
			d, err := time.ParseDuration(parts[2])
			if err != nil {
				return found
			}
			one.moments = append(one.moments, d)
			return parts[1] + "…"
		})
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b line) int { return strings.Compare(a.text, b.text) })
	return all
}

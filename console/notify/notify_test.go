package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// script plays lines of "second: kind thing [once]", "second: gone thing" or "second: restart", steps every second up to the last, and returns what was told, a message a line.
func script(t *testing.T, r Rules, lines string) (told []string, s *State) {
	t.Helper()
	s = &State{}
	events := map[int][]string{}
	end := 0
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
		var second int
		at, what, _ := strings.Cut(strings.TrimSpace(line), ":")
		if _, err := fmt.Sscan(at, &second); err != nil {
			t.Fatal(line)
		}
		events[second], end = append(events[second], strings.TrimSpace(what)), second
	}
	for second := range end + 1 {
		now := noon.Add(time.Duration(second) * time.Second)
		for _, e := range events[second] {
			words := append(strings.Fields(e), "", "")
			switch words[0] {
			case "gone":
				s.Gone(words[1])
			case "restart":
				content, err := json.Marshal(s)
				s = &State{}
				if err == nil {
					err = json.Unmarshal(content, s)
				}
				if err != nil {
					t.Fatal(err)
				}
			case "":
			default:
				_, name, _ := strings.Cut(words[1], "/")
				s.Observe(Fact{Thing: words[1], Kind: Kind(words[0]), Name: name, Once: words[2], Since: now}, now)
			}
		}
		before := s.Sequence
		s.Step(r, now)
		if s.Sequence > before {
			told = append(told, fmt.Sprintf("%d: %s", second, s.Outbox[len(s.Outbox)-1].Message.Text))
		}
	}
	return told, s
}

func TestWhatIsToldAndWhen(t *testing.T) {
	plain := Rules{Hold: 10 * time.Second, Group: 5 * time.Second, Receivers: []string{"ops"}}
	silent := plain
	silent.Silences = []Silence{{Things: "tree/staging*", Until: noon.Add(100 * time.Second)}}
	for name, c := range map[string]struct {
		rules  Rules
		script string
		want   []string
	}{
		"Red is told when it has held, and Green after it": {plain, `
			1: tree_red tree/a
			50: tree_green tree/a
			90:`, []string{"16: tree a is Red", "65: tree a is Green again"}},
		"What turns back at once is not told": {plain, `
			1: tree_red tree/a
			5: tree_green tree/a
			40:`, nil},
		"What was Green all the time is not told": {plain, `
			1: tree_green tree/a
			2: computer_back computer/a
			40:`, nil},
		"What turns back while others are waited for is not told": {plain, `
			1: tree_red tree/a
			13: tree_green tree/a
			40:`, nil},
		"It is told once, however often it is observed": {plain, `
			1: tree_red tree/a
			20: tree_red tree/a
			30: restart
			31: tree_red tree/a
			90:`, []string{"16: tree a is Red"}},
		"A Green that turns back is not told, nor is the Red that was": {plain, `
			1: tree_red tree/a
			20: tree_green tree/a
			25: tree_red tree/a
			90:`, []string{"16: tree a is Red"}},
		"What comes together is one message, the worst first": {plain, `
			1: tree_red tree/a
			2: tree_red tree/b
			5: computer_dead computer/c
			6: bangs_refused bangs/a monday
			40:`, []string{"16: 1 computer is dead, 2 trees are Red, 1 tree has refused bangs"}},
		"What comes later is another": {plain, `
			1: tree_red tree/a
			10: tree_red tree/b
			40:`, []string{"16: tree a is Red", "25: tree b is Red"}},
		"Refused bangs are told once a day": {plain, `
			1: bangs_refused bangs/a monday
			30: bangs_refused bangs/a monday
			60: bangs_refused bangs/a tuesday
			90:`, []string{"16: bangs of tree a are refused", "75: bangs of tree a are refused"}},
		"What is silenced is told at the end of the silence, if it is still the case": {silent, `
			1: tree_red tree/staging-1
			2: tree_red tree/staging-2
			3: tree_red tree/a
			50: tree_green tree/staging-2
			150:`, []string{"18: tree a is Red", "105: tree staging-1 is Red"}},
		"What is gone is not told": {plain, `
			1: tree_red tree/a
			5: gone tree/a
			60:`, nil},
		"What is decided survives a restart": {plain, `
			1: tree_red tree/a
			13: restart
			20: restart
			60: computer_dead computer/c
			90:`, []string{"16: tree a is Red", "75: computer c is dead"}},
	} {
		told, s := script(t, c.rules, c.script)
		if fmt.Sprint(told) != fmt.Sprint(c.want) {
			t.Errorf("%s: told %q, want %q", name, told, c.want)
		}
		ids := map[string]bool{}
		for _, d := range s.Outbox {
			ids[d.Message.ID] = true
		}
		if len(ids) != len(c.want) {
			t.Errorf("%s: %d ids of %d messages", name, len(ids), len(c.want))
		}
	}
}

func TestWhatWaitsIsBoundedInOrderAndGivenUpAfterADay(t *testing.T) {
	r := Rules{Receivers: []string{"down", "up"}}
	s, now := &State{}, noon
	dropped := 0
	for n := range MaxWaiting + 30 {
		now = now.Add(time.Minute)
		s.Observe(Fact{Thing: fmt.Sprint("tree/", n), Kind: TreeRed}, now)
		for range 2 {
			_, d := s.Step(r, now)
			dropped += d
		}
		for _, d := range s.Due(now) {
			if d.Receiver == "up" {
				s.Delivered("up", d.Message.ID)
			}
		}
	}
	if len(s.Outbox) != MaxWaiting || dropped != 30 {
		t.Fatalf("%d wait, %d were dropped; want %d and 30", len(s.Outbox), dropped, MaxWaiting)
	}
	due := s.Due(now)
	if len(due) != 1 || due[0].Message.Items[0].Thing != "tree/30" {
		t.Fatalf("due is %+v, want the oldest that waits", due)
	}
	s.Failed("down", due[0].Message.ID, func(attempt int) time.Time { return now.Add(time.Duration(attempt) * time.Hour) })
	if again := s.Due(now.Add(59 * time.Minute)); len(again) != 0 {
		t.Errorf("%v is due before its time, or before the one ahead of it", again)
	}
	if again := s.Due(now.Add(time.Hour)); len(again) != 1 || again[0].Attempts != 1 {
		t.Errorf("due an hour later is %+v", again)
	}
	if _, dropped := s.Step(r, now.Add(GiveUp+time.Hour)); dropped != MaxWaiting || len(s.Outbox) != 0 {
		t.Errorf("a day later %d were given up, %d wait", dropped, len(s.Outbox))
	}
	s = &State{Outbox: []Delivery{{Receiver: "gone", Message: Message{At: now}}}}
	if s.Step(r, now); len(s.Outbox) != 0 {
		t.Error("a message waits for nobody")
	}
}

func TestAMessageHasBoundedLinesAndThingsAreBounded(t *testing.T) {
	s := &State{}
	for n := range MaxThings + 10 {
		s.Observe(Fact{Thing: fmt.Sprint("tree/", n), Kind: TreeRed}, noon.Add(time.Duration(n)))
	}
	if len(s.Things) != MaxThings || s.Things["tree/0"] != nil {
		t.Fatalf("%d things, the oldest is %v", len(s.Things), s.Things["tree/0"])
	}
	s.Step(Rules{Receivers: []string{"ops"}}, noon.Add(time.Hour))
	s.Step(Rules{Receivers: []string{"ops"}}, noon.Add(time.Hour))
	m := s.Outbox[0].Message
	if len(m.Items) != MaxItems || m.More != MaxThings-MaxItems || m.Text != fmt.Sprintf("%d trees are Red", MaxThings) {
		t.Errorf("%d lines, %d more: %s", len(m.Items), m.More, m.Text)
	}
}

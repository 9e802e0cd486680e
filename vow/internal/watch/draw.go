package watch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vow-os/vow/kit/human"
)

// View is how it is looked at.
type View struct {
	Width, Height int
	// Top is how many rows of trees are scrolled away.
	Top int
	// Open hides what is Green or has no colour.
	Open bool
	// Colours by escape sequences.
	Colours bool
	Now     time.Time
}

// Colours of a terminal, by the words for colours.
var paint = map[string]string{"Green": "\x1b[32m", "Orange": "\x1b[33m", "Red": "\x1b[31m", "Red?": "\x1b[35m"}

const (
	plain = "\x1b[0m"
	bold  = "\x1b[1m"
	// bar is the width of the picture of a progress.
	bar = 12
)

// Draw is the lines of the screen, as many as it is high at most, and how far the trees can be scrolled.
func (b *Board) Draw(v View) (lines []string, bottom int) {
	convergences := b.drawConvergences(v)
	computers := b.rows(v, b.computers, true)
	trees := b.rows(v, b.trees, v.Open)
	// What is above the trees leaves at least half of the screen to them.
	room := max(2, v.Height/4)
	lines = append(lines, b.head(v))
	title := "CONVERGENCES"
	if b.Waiting > 0 {
		title += fmt.Sprintf(" (those of %d more trees are looked at when some of these have ended)", b.Waiting)
	}
	lines = append(lines, b.section(v, title, convergences, room)...)
	lines = append(lines, b.section(v, "COMPUTERS that are not Green", computers, room)...)
	lines = append(lines, "", v.strong(fmt.Sprintf("  %-24s %-8s %-12s %-14s %s", "TREE", "COLOUR", "SINCE", "NEXT RUN", "WHY")))
	height := max(1, v.Height-len(lines)-1)
	bottom = max(0, len(trees)-height)
	top := min(max(0, v.Top), bottom)
	lines = append(lines, trees[top:min(len(trees), top+height)]...)
	if len(trees) == 0 {
		lines = append(lines, "  none")
	}
	foot := "q quit   r " + map[bool]string{false: "only what is not Green", true: "all trees"}[v.Open]
	if bottom > 0 {
		foot += fmt.Sprintf("   ↑ ↓ scroll (%d–%d of %d)", top+1, top+height, len(trees))
	}
	lines = append(lines, foot)
	if len(lines) > v.Height { // a screen of a few lines: the head and what fits
		lines = lines[:max(1, v.Height)]
	}
	for i, line := range lines {
		lines[i] = cut(line, v.Width)
	}
	return lines, bottom
}

func (b *Board) head(v View) string {
	var parts []string
	for _, one := range []struct {
		noun string
		all  map[string]*thing
	}{{"trees", b.trees}, {"computers", b.computers}} {
		counts := map[string]int{}
		for _, t := range one.all {
			counts[word(t.colour)]++
		}
		text := fmt.Sprintf("%d %s", len(one.all), one.noun)
		if len(one.all) == 1 {
			text = strings.TrimSuffix(text, "s")
		}
		for _, colour := range []string{"Red", "Red?", "Orange", "Green"} {
			if counts[colour] > 0 {
				text += "  " + v.in(colour, fmt.Sprintf("%d %s", counts[colour], colour))
			}
		}
		parts = append(parts, text)
	}
	line := v.Now.Format(time.TimeOnly) + "   " + strings.Join(parts, "   ")
	for _, service := range slices.Sorted(maps.Keys(b.away)) {
		line += "   " + v.in("Red", fmt.Sprintf("%s does not answer for %s", service, human.Span(v.Now.Sub(b.away[service]))))
	}
	return line
}

func (b *Board) section(v View, title string, rows []string, room int) []string {
	if len(rows) == 0 {
		return nil
	}
	lines := []string{"", v.strong("  " + title)}
	if len(rows) > room {
		rows = append(rows[:room-1:room-1], fmt.Sprintf("  and %d more", len(rows)-room+1))
	}
	return append(lines, rows...)
}

// rows of trees or computers, the worst first.
func (b *Board) rows(v View, all map[string]*thing, open bool) (rows []string) {
	things := slices.Collect(maps.Values(all))
	slices.SortFunc(things, func(a, b *thing) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.name, b.name), cmp.Compare(a.id, b.id))
	})
	for _, t := range things {
		colour := word(t.colour)
		if open && (colour == "Green" || colour == "-") {
			continue
		}
		since := "-"
		if t.colour.GetSince() != nil {
			since = human.Span(v.Now.Sub(t.colour.GetSince().AsTime()))
		}
		rows = append(rows, fmt.Sprintf("%s %s %s %-12s %-14s %s", v.in(colour, "●"), fit(t.name, 24), v.in(colour, fit(colour, 8)), since, t.nextRun(v.Now), clean(t.colour.GetReason())))
	}
	return rows
}

// nextRun says when something of the tree runs.
func (t *thing) nextRun(now time.Time) string {
	switch {
	case t.running > 0:
		return fmt.Sprintf("%d running", t.running)
	case t.paused:
		return "paused"
	case t.next.IsZero():
		return "-"
	case !t.next.After(now):
		return "now"
	}
	return "in " + human.Span(t.next.Sub(now))
}

func rank(t *thing) int {
	return slices.Index([]string{"Red", "Red?", "Orange", "Green", "-"}, word(t.colour))
}

// drawConvergences tells the open ones first, the newest first.
func (b *Board) drawConvergences(v View) (rows []string) {
	all := slices.Collect(maps.Values(b.convergences))
	slices.SortFunc(all, func(a, b convergence) int {
		open := func(c convergence) int { return map[bool]int{true: 1}[c.GetClosedAt() != nil] }
		return cmp.Or(cmp.Compare(open(a), open(b)), b.GetOpenedAt().AsTime().Compare(a.GetOpenedAt().AsTime()), cmp.Compare(a.GetConvergenceId(), b.GetConvergenceId()))
	})
	for _, c := range all {
		settled, running, blocker := progress(c.Convergence)
		took, colour := time.Duration(c.GetDurationSeconds()*float64(time.Second)), "Green"
		text := human.Word(c.GetState(), "CONVERGENCE_STATE_")
		if c.GetClosedAt() == nil {
			took, colour = v.Now.Sub(c.GetOpenedAt().AsTime()), "Orange"
			text = fmt.Sprintf("%d running", running)
			if blocker != "" {
				text += ", waits: " + clean(blocker)
			}
		}
		full := bar
		if members := len(c.GetMembers()); members > 0 {
			full = bar * settled / members
		}
		rows = append(rows, fmt.Sprintf("%s %s %s %3d/%-3d %-12s %s  %s", v.in(colour, "◆"), fit(c.GetTitle(), 24), strings.Repeat("█", full)+strings.Repeat("░", bar-full),
			settled, len(c.GetMembers()), human.Span(took), c.GetConvergenceId(), text))
	}
	return rows
}

// in paints a text.
func (v View) in(colour, text string) string {
	if !v.Colours || paint[colour] == "" {
		return text
	}
	return paint[colour] + text + plain
}

func (v View) strong(text string) string {
	if !v.Colours {
		return text
	}
	return bold + text + plain
}

// fit makes a text of others exactly so wide.
func fit(text string, width int) string {
	text = cut(clean(text), width)
	return text + strings.Repeat(" ", width-utf8.RuneCountInString(text))
}

// cut makes a line at most so wide; the escape sequences for colours take no room.
func cut(line string, width int) string {
	var out strings.Builder
	room, inside, painted := width, false, false
	for i, r := range line {
		switch {
		case inside:
			inside = r != 'm'
		case r == '\x1b':
			inside, painted = true, !strings.HasPrefix(line[i:], plain)
		case room == 1 && shown(line[i:]) > 1:
			out.WriteRune('…')
			if painted {
				out.WriteString(plain)
			}
			return out.String()
		default:
			room--
		}
		out.WriteRune(r)
	}
	return out.String()
}

// shown counts what takes room.
func shown(text string) (n int) {
	inside := false
	for _, r := range text {
		switch {
		case inside:
			inside = r != 'm'
		case r == '\x1b':
			inside = true
		default:
			n++
		}
	}
	return n
}

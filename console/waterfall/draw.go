package waterfall

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// Limits of a drawing.
const (
	// labelWidth holds "step promises" under a title of 20 characters; longer ones are cut.
	labelWidth = 34
	// noteWidth keeps an error from breaking the picture; the whole is in `vow tree`.
	noteWidth = 60
	// minBars is the narrowest useful picture.
	minBars = 20
)

// Draw writes the waterfall, at most width columns wide without the notes. now ends what is pending.
func Draw(w io.Writer, c *masterv1.Convergence, now time.Time, width int) error {
	rows := Rows(c, now)
	var total time.Duration
	for _, r := range rows {
		total = max(total, r.To)
	}
	bars := max(minBars, width-labelWidth-24)
	var text strings.Builder
	fmt.Fprintf(&text, "%s of %s (%s), bang %s\n", c.GetConvergenceId(), c.GetTitle(), c.GetTreeId(), c.GetBangId())
	fmt.Fprintf(&text, "%s after %s, trace %s\n\n", stateWord(c.GetState()), Milliseconds(seconds(c.GetDurationSeconds())), c.GetTraceId())
	for _, r := range rows {
		label := cut(strings.Repeat("  ", r.Depth)+r.Label, labelWidth)
		line := fmt.Sprintf("%s%s │%s│ %s %s%s", label, strings.Repeat(" ", labelWidth-utf8.RuneCountInString(label)),
			bar(r, total, bars), pad(Milliseconds(r.From), 10), pad(length(r), 10), note(r))
		text.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	if dropped := c.GetTimelineDropped(); dropped > 0 {
		fmt.Fprintf(&text, "%d moments were not kept\n", dropped)
	}
	for _, reason := range c.GetNotWaitedFor() {
		fmt.Fprintf(&text, "not waited for: %s\n", reason)
	}
	if parts := Path(c, now); len(parts) > 0 {
		fmt.Fprintf(&text, "critical path: %s\n", pathText(parts))
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// pathText is the parts of the critical path with their lengths, and their sum.
func pathText(parts []Part) string {
	var told []string
	for _, p := range parts {
		told = append(told, p.Label+" "+Milliseconds(p.To-p.From))
	}
	text := strings.Join(told, ", ")
	if title := parts[len(parts)-1].Title; title != "" {
		text = "of " + title + ": " + text
	}
	return text + " = " + Milliseconds(parts[len(parts)-1].To)
}

// bar draws one row in n columns.
func bar(r Row, total time.Duration, n int) string {
	if total <= 0 {
		total = 1
	}
	from := min(n-1, int(int64(n)*int64(r.From)/int64(total)))
	to := min(n, int((int64(n)*int64(r.To)+int64(total)-1)/int64(total)))
	if to <= from {
		to = from + 1
	}
	glyph := "█"
	switch {
	case r.Pending:
		glyph = "░"
	case r.From == r.To:
		glyph = "▏"
	case r.Failed:
		glyph = "▒"
	}
	return strings.Repeat(" ", from) + strings.Repeat(glyph, to-from) + strings.Repeat(" ", n-to)
}

// length is how long a row took, in words.
func length(r Row) string {
	switch {
	case r.Pending:
		return "pending"
	case r.From == r.To:
		return ""
	default:
		return Milliseconds(r.To - r.From)
	}
}

// note is the row's note on one short line.
func note(r Row) string {
	text := strings.Join(strings.Fields(r.Note), " ")
	if r.Failed && text == "" {
		text = "failed"
	}
	if text == "" {
		return ""
	}
	return "  " + cut(text, noteWidth)
}

// Milliseconds formats a duration as people compare it: milliseconds with one decimal up to 10 s, seconds above.
func Milliseconds(d time.Duration) string {
	if d >= 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

func pad(s string, n int) string {
	return strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s))) + s
}

// cut keeps the first n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := []rune(s)
	return string(runes[:n-1]) + "…"
}

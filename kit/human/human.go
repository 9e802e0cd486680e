package human

import (
	"fmt"
	"strings"
	"time"
)

// Span formats a duration: two units at most. A negative one is nothing.
func Span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(0, d.Milliseconds()))
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
}

// Word turns an enum value into the word that people use: CAUSE_BANG with the prefix CAUSE_ is "bang".
func Word(e interface{ String() string }, prefix string) string {
	name := strings.ToLower(strings.TrimPrefix(e.String(), prefix))
	if name == "unspecified" {
		return "-"
	}
	return strings.ReplaceAll(name, "_", " ")
}

// OneLine folds all white space, and keeps the first n characters at most; n ≥ 1.
func OneLine(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}

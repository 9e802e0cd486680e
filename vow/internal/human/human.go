package human

import (
	"time"

	"github.com/vow-os/vow/kit/human"
)

// Span is human.Span of kit.
func Span(d time.Duration) string { return human.Span(d) }

// Word is human.Word of kit.
func Word(e interface{ String() string }, prefix string) string { return human.Word(e, prefix) }

// OneLine is human.OneLine of kit.
func OneLine(text string, n int) string { return human.OneLine(text, n) }

package why

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/human"
)

// maxLine bounds a line that quotes somebody, in characters.
const maxLine = 300

// shownBangs is how many bangs are told.
const shownBangs = 5

// bangs are the newest, as sentences.
func bangs(f Facts, now time.Time) []string {
	var told []string
	for _, b := range f.Bangs {
		if f.Instance != "" && b.GetInstanceId() != "" && b.GetInstanceId() != f.Instance {
			continue
		}
		if len(told) == shownBangs {
			break
		}
		text := fmt.Sprintf("%s %s: %s by %s %s", b.GetBangId(), ago(b.GetAt().AsTime(), now), human.Word(b.GetOutcome(), "BANG_OUTCOME_"), human.Word(b.GetOrigin(), "BANG_ORIGIN_"), b.GetSource())
		if message := firstLine(b.GetMessage()); message != "" {
			text += ": " + message
		}
		if b.GetReason() != "" {
			text += " (" + b.GetReason() + ")"
		}
		if b.GetSatisfiedAt() != nil {
			text += ", satisfied after " + human.Span(b.GetSatisfiedAt().AsTime().Sub(b.GetAt().AsTime()))
		}
		told = append(told, text)
	}
	return told
}

// look is commands that show more.
func look(f Facts, found []diagnosis) []string {
	commands := []string{"vow tree " + f.Tree.GetTitle()}
	if f.Convergence != nil {
		commands = append(commands, "vow trace "+f.Convergence.GetConvergenceId())
	}
	if len(found) > 0 && found[0].instance.GetAllocationId() != "" {
		i := found[0].instance
		commands = append(commands, "vow promise list "+i.GetAllocationId(), "vow agenda "+i.GetComputer()+"/"+i.GetPartition())
	}
	return commands
}

// firstLine is where an error says what is wrong; one that ends with a colon goes on.
func firstLine(text string) string {
	first, rest, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if strings.HasSuffix(first, ":") {
		next, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
		first += " " + next
	}
	return bounded(first)
}

// lastLine is where the output of a build or a promise says why.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return bounded(text[strings.LastIndexByte(text, '\n')+1:])
}

func bounded(text string) string { return human.OneLine(text, maxLine) }

func oneOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return bounded(text)
		}
	}
	return ""
}

func withPrefix(texts []string, prefix string) string {
	for _, text := range texts {
		if strings.HasPrefix(text, prefix) {
			return text
		}
	}
	return ""
}

func sorted(m map[string]*masterv1.Computer) []string { return slices.Sorted(maps.Keys(m)) }

func ago(t, now time.Time) string { return human.Span(now.Sub(t)) + " ago" }

func ahead(t, now time.Time) string {
	if !t.After(now) {
		return "now"
	}
	return "in " + human.Span(t.Sub(now))
}

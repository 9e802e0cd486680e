package chaos

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// register is what one caller at a time would see of a tree: the value of its parameter, its last generation that was told, and its bangs.
type register struct {
	value string
	last  Generation
	bangs string // "<request id>=<bang id>;" of each bang whose answer is known, in the order in which they were made
}

// answer is what an operation was answered.
type answer struct {
	known bool
	Operation
}

// model is the sequential object: a request sets the value, a bang makes one bang for its request id, and both move the generation on. A repeated id
// gets the first answer. A request is answered with the instance as it is stored, which may be newer than what it made: svc-master decides calls of one tree together.
// A call without an answer sets the value, if it is a request; nobody knows which generation it made.
func model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return register{} },
		Step: func(state, input, output any) (bool, any) {
			s, in, out := state.(register), input.(Operation), output.(answer) //nolint:forcetypeassert // nothing else is put in
			switch in.Kind {
			case Read:
				return s.value == out.Value && !out.Generation.Less(s.last), register{s.value, later(s.last, out.Generation), s.bangs}
			case Request:
				if !out.known {
					return true, register{in.Value, s.last, s.bangs}
				}
				made := Generation{s.last.Epoch, s.last.Number + 1} // or later
				return !out.Generation.Less(made), register{in.Value, made, s.bangs}
			default:
				if !out.known {
					return true, s
				}
				if _, rest, repeated := strings.Cut(s.bangs, ";"+in.ID+"="); repeated {
					first, _, _ := strings.Cut(rest, ";")
					return first == out.BangID, s
				}
				made := strings.Contains(s.bangs, "="+out.BangID+";")
				return !made && s.last.Less(out.Generation), register{s.value, out.Generation, s.bangs + ";" + in.ID + "=" + out.BangID + ";"}
			}
		},
		Equal: func(a, b any) bool { return a == b },
		DescribeOperation: func(input, output any) string {
			return describe(output.(answer)) //nolint:forcetypeassert // as above
		},
	}
}

func later(a, b Generation) Generation {
	if a.Less(b) {
		return b
	}
	return a
}

func describe(o answer) string {
	words := [...]string{"request " + o.Value, "bang " + o.ID, "read " + o.Value}
	if !o.known {
		return words[o.Kind] + ": no answer"
	}
	return fmt.Sprintf("%s: %s %s", words[o.Kind], o.Generation, o.BangID)
}

// Linear tells for which trees the operations are not linearizable, and for which that could not be decided within the limit.
func Linear(h *History, limit time.Duration) (broken, undecided []string) {
	of := map[string][]porcupine.Operation{}
	told := map[string]Operation{} // by request id: what a repeated bang was told is what the first would have been
	for _, o := range h.Operations {
		if o.Kind == Bang && o.Answered {
			told[o.ID] = o
		}
	}
	client := 0
	for _, o := range h.Operations {
		if o.Kind == Read && !o.Answered {
			continue // it changed nothing and tells nothing
		}
		end := o.Return.Nanoseconds()
		if !o.Answered {
			end = math.MaxInt64 // it may have its effect still
		}
		out := answer{o.Answered, o}
		if first, ok := told[o.ID]; ok && o.Kind == Bang && !o.Answered {
			out.known, out.BangID, out.Generation = true, first.BangID, first.Generation
		}
		client++ // each call is a client's own: one whose call has no answer goes on
		of[o.Tree] = append(of[o.Tree], porcupine.Operation{ClientId: client, Input: o, Call: o.Call.Nanoseconds(), Output: out, Return: end})
	}
	for tree, operations := range of {
		switch result, found := porcupine.CheckOperationsVerbose(model(), operations, limit); result {
		case porcupine.Illegal:
			broken = append(broken, fmt.Sprintf("the %d operations on %s are not linearizable; %s", len(operations), tree, around(operations, found)))
		case porcupine.Unknown:
			undecided = append(undecided, tree)
		case porcupine.Ok:
		}
	}
	return broken, undecided
}

// around shows the calls about the first that no order explains: those that were under way with it or just before.
func around(operations []porcupine.Operation, found porcupine.LinearizationInfo) string {
	reached := map[int]bool{}
	for _, partial := range found.PartialLinearizationsOperations() {
		for _, order := range partial {
			if len(order) > len(reached) {
				reached = map[int]bool{}
				for _, o := range order {
					reached[o.ClientId] = true
				}
			}
		}
	}
	slices.SortFunc(operations, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	first := slices.IndexFunc(operations, func(o porcupine.Operation) bool { return !reached[o.ClientId] })
	var words []string
	for i := max(first-aroundBefore, 0); first >= 0 && i < min(first+aroundAfter, len(operations)); i++ {
		o := operations[i]
		mark := ""
		if !reached[o.ClientId] {
			mark = " (not explained)"
		}
		words = append(words, fmt.Sprintf("%s to %s %s%s", time.Duration(o.Call), time.Duration(o.Return), describe(o.Output.(answer)), mark)) //nolint:forcetypeassert // as above
	}
	return strings.Join(words, "; ")
}

// How many calls before and after it are shown.
const aroundBefore, aroundAfter = 8, 5

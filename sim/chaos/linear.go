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
	any   bool // the value is not known yet: nobody has read or requested one
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
// With left it begins with whatever value an earlier life left.
func model(left bool) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return register{any: left} },
		Step: func(state, input, output any) (bool, any) {
			s, in, out := state.(register), input.(Operation), output.(answer) //nolint:forcetypeassert // nothing else is put in
			switch in.Kind {
			case Read:
				return (s.any || s.value == out.Value) && !out.Generation.Less(s.last), register{false, out.Value, later(s.last, out.Generation), s.bangs}
			case Request:
				if !out.known {
					return true, register{false, in.Value, s.last, s.bangs}
				}
				made := Generation{s.last.Epoch, s.last.Number + 1} // or later
				return !out.Generation.Less(made), register{false, in.Value, made, s.bangs}
			default:
				if _, rest, repeated := strings.Cut(s.bangs, ";"+in.ID+"="); repeated {
					first, _, _ := strings.Cut(rest, ";")
					return first == out.BangID, s
				}
				made := strings.Contains(s.bangs, "="+out.BangID+";")
				return !made && s.last.Less(out.Generation), register{s.any, s.value, out.Generation, s.bangs + ";" + in.ID + "=" + out.BangID + ";"}
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

// life is what is linearizable by itself: a tree; in a lossy history a tree in one epoch.
type life struct {
	tree  string
	epoch uint64
}

// Linear tells for which trees the operations are not linearizable, and for which that could not be decided within the limit.
//
// Of a store that failed over, or was restored, each epoch is a life of its own. It begins with what is left of the one before, which may be any value, since nobody knows what was lost; from
// then on it forgets nothing. An operation is of the epoch that its answer names.
func Linear(h *History, limit time.Duration) (broken, undecided []string) {
	lifeOf := func(o Operation) life {
		if h.Lossy {
			return life{o.Tree, o.Generation.Epoch}
		}
		return life{tree: o.Tree}
	}
	lives := map[life][]porcupine.Operation{}
	told, read := map[life]map[string]Operation{}, map[[2]string]bool{} // what was answered to each id; the values that were read, by tree
	for _, o := range h.Operations {
		if l := lifeOf(o); o.Answered && told[l] == nil {
			told[l] = map[string]Operation{}
		}
		switch {
		case !o.Answered:
		case o.Kind == Bang:
			told[lifeOf(o)][o.ID] = o
		case o.Kind == Read:
			read[[2]string{o.Tree, o.Value}] = true
		}
	}
	for client, o := range h.Operations { // each call is a client's own: one whose call has no answer goes on
		call := porcupine.Operation{ClientId: client, Input: o, Call: o.Call.Nanoseconds(), Output: answer{o.Answered, o}, Return: o.Return.Nanoseconds()}
		if o.Answered {
			lives[lifeOf(o)] = append(lives[lifeOf(o)], call)
			continue
		}
		call.Return = math.MaxInt64 // it may have its effect still
		for l, ids := range told {
			switch first, ok := ids[o.ID]; {
			case l.tree != o.Tree:
			case o.Kind == Bang && ok: // what it was told when it was repeated is what it would have been told
				call.Output = answer{true, first}
				lives[l] = append(lives[l], call)
			case o.Kind == Request && read[[2]string{o.Tree, o.Value}]:
				lives[l] = append(lives[l], call)
			default: // nobody saw an effect of it: an order without it explains as much, and is found sooner
			}
		}
	}
	for l, operations := range lives {
		switch result, found := porcupine.CheckOperationsVerbose(model(h.Lossy), operations, limit); result {
		case porcupine.Illegal:
			broken = append(broken, fmt.Sprintf("the %d operations on %s are not linearizable; %s", len(operations), l.tree, around(operations, found)))
		case porcupine.Unknown:
			undecided = append(undecided, l.tree)
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

package story

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// Node is a span in its tree.
type Node struct {
	Span     Span
	Children []*Node
}

// Trace is all spans of one trace id.
type Trace struct {
	ID string
	// Roots have no parent; a story has one.
	Roots []*Node
	// Orphans name a parent that was not seen.
	Orphans []*Node
}

// Assemble groups spans by trace, contracts RPC and Redis spans (their children become their parents'), and orders siblings by start, then name.
func Assemble(spans []Span) map[string]*Trace {
	nodes := make(map[string]*Node, len(spans))
	for _, s := range spans {
		nodes[s.Trace+s.ID] = &Node{Span: s}
	}
	traces := map[string]*Trace{}
	for _, n := range nodes {
		t := traces[n.Span.Trace]
		if t == nil {
			t = &Trace{ID: n.Span.Trace}
			traces[n.Span.Trace] = t
		}
		if contracted(n.Span) {
			continue
		}
		switch parent, found := above(nodes, n); {
		case parent != nil:
			parent.Children = append(parent.Children, n)
		case found:
			t.Roots = append(t.Roots, n)
		default:
			t.Orphans = append(t.Orphans, n)
		}
	}
	for _, n := range nodes {
		order(n.Children)
	}
	for _, t := range traces {
		order(t.Roots)
		order(t.Orphans)
	}
	return traces
}

// above is the nearest ancestor that is not contracted; nil and true for a root, nil and false for an orphan.
func above(nodes map[string]*Node, n *Node) (*Node, bool) {
	for n.Span.Parent != "" {
		parent, ok := nodes[n.Span.Trace+n.Span.Parent]
		if !ok {
			return nil, false
		}
		if !contracted(parent.Span) {
			return parent, true
		}
		n = parent
	}
	return nil, true
}

// contracted spans are plumbing: calls of RPCs and of Redis, by the conventions' own attributes.
func contracted(s Span) bool {
	if s.Kind != trace.SpanKindClient && s.Kind != trace.SpanKindServer {
		return false
	}
	for _, key := range []string{"rpc.system", "rpc.system.name", "rpc.service", "rpc.method", "db.system", "db.system.name"} {
		if _, ok := s.Attributes[key]; ok {
			return true
		}
	}
	return false
}

func order(nodes []*Node) {
	slices.SortFunc(nodes, func(a, b *Node) int {
		return cmp.Or(a.Span.Start.Compare(b.Span.Start), cmp.Compare(a.Span.Name, b.Span.Name))
	})
}

// Draw writes the tree, one span a line: indentation, name, service; equal siblings are folded with their count, so that what it says does not depend on who was first.
func (t *Trace) Draw() string {
	var text strings.Builder
	for _, line := range fold(t.Roots, 0) {
		text.WriteString(line + "\n")
	}
	for _, o := range t.Orphans {
		fmt.Fprintf(&text, "orphan: %s (%s), parent %s\n", o.Span.Name, o.Span.Service, o.Span.Parent)
	}
	return text.String()
}

// fold draws siblings sorted by name, equal subtrees once with "×n".
func fold(nodes []*Node, depth int) []string {
	drawn := make([]string, 0, len(nodes))
	for _, n := range nodes {
		head := fmt.Sprintf("%s%s (%s)", strings.Repeat("  ", depth), n.Span.Name, n.Span.Service)
		drawn = append(drawn, strings.Join(append([]string{head}, fold(n.Children, depth+1)...), "\n"))
	}
	slices.Sort(drawn)
	var lines []string
	for i := 0; i < len(drawn); {
		n := i
		for n < len(drawn) && drawn[n] == drawn[i] {
			n++
		}
		block := strings.Split(drawn[i], "\n")
		if n-i > 1 {
			block[0] += fmt.Sprintf(" ×%d", n-i)
		}
		lines = append(lines, block...)
		i = n
	}
	return lines
}

// Spans returns every span of the tree, parents first.
func (t *Trace) Spans() []Span {
	var all []Span
	var walk func([]*Node)
	walk = func(nodes []*Node) {
		for _, n := range nodes {
			all = append(all, n.Span)
			walk(n.Children)
		}
	}
	walk(t.Roots)
	walk(t.Orphans)
	return all
}

package jinja

import (
	"errors"
	"fmt"

	"github.com/nikolalohinski/gonja/v2/builtins"
	controlstructures "github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// Limits. Real templates stay below a hundredth of each.
const (
	// MaxSourceBytes bounds one template file.
	MaxSourceBytes = 256 << 10
	// MaxOutputBytes bounds what one template renders.
	MaxOutputBytes = 4 << 20
	// MaxIterations bounds loop iterations and macro calls of one rendering together.
	MaxIterations = 100_000
	// MaxDepth bounds macros that call each other: each level costs kilobytes of stack.
	MaxDepth = 50
	// MaxNesting bounds brackets inside brackets and blocks inside blocks: the parser recurses on them.
	MaxNesting = 64
	// MaxReads bounds the templates one rendering imports and includes, each time counted.
	MaxReads = 100
	// MaxRange bounds one range() and one padding width.
	MaxRange = 10_000
	// MaxVariableBytes bounds a variable that the template sets, since {% set x = x ~ x %} doubles.
	MaxVariableBytes = 256 << 10
)

// budget is what one rendering may still use.
type budget struct {
	iterations, depth, reads int
}

func (b *budget) spend() error {
	if b.iterations++; b.iterations > MaxIterations {
		return fmt.Errorf("cannot loop more than %d times in one template", MaxIterations)
	}
	return nil
}

// counter is a syntax node that renders nothing and counts.
type counter struct {
	at    *tokens.Token
	count func() error
}

func (c *counter) Position() *tokens.Token { return c.at }
func (c *counter) String() string          { return "counter" }

// Execute implements exec.ControlStructure.
func (c *counter) Execute(*exec.Renderer, *nodes.ControlStructureBlock) error { return c.count() }

func (c *counter) node() nodes.Node {
	return &nodes.ControlStructureBlock{Location: c.at, Name: "counter", ControlStructure: c}
}

// structures are gonja's control structures with counting loops, macros and assignments.
func structures(b *budget) *exec.ControlStructureSet {
	set := exec.NewControlStructureSet(map[string]parser.ControlStructureParser{})
	set.Update(builtins.ControlStructures)
	wrap := func(name string, with func(parser.ControlStructureParser) parser.ControlStructureParser) {
		if original, ok := set.Get(name); ok {
			// Replace fails only for names that do not exist.
			_ = set.Replace(name, with(original))
		}
	}
	wrap("for", func(parser.ControlStructureParser) parser.ControlStructureParser {
		return func(p, args *parser.Parser) (nodes.ControlStructure, error) {
			loop, err := parseFor(p, args)
			if err != nil {
				return nil, err
			}
			count := &counter{at: loop.BodyWrapper.Location, count: b.spend}
			loop.BodyWrapper.Nodes = append([]nodes.Node{count.node()}, loop.BodyWrapper.Nodes...)
			return loop, nil
		}
	})
	wrap("macro", func(original parser.ControlStructureParser) parser.ControlStructureParser {
		return func(p, args *parser.Parser) (nodes.ControlStructure, error) {
			parsed, err := original(p, args)
			if err != nil {
				return nil, err
			}
			macro, ok := parsed.(*controlstructures.MacroControlStructure)
			if !ok {
				return nil, errors.New("cannot use this macro")
			}
			enter := &counter{at: macro.Location, count: b.enter}
			leave := &counter{at: macro.Location, count: func() error { b.depth--; return nil }}
			macro.Wrapper.Nodes = append(append([]nodes.Node{enter.node()}, macro.Wrapper.Nodes...), leave.node())
			return macro, nil
		}
	})
	wrap("set", func(original parser.ControlStructureParser) parser.ControlStructureParser {
		return func(p, args *parser.Parser) (nodes.ControlStructure, error) {
			name := ""
			if token := args.Current(tokens.Name); token != nil {
				name = token.Val
				if args.Peek(tokens.Comma) != nil {
					return parseUnpack(args)
				}
			}
			parsed, err := original(p, args)
			if err != nil {
				return nil, err
			}
			assignment, ok := parsed.(exec.ControlStructure)
			if !ok {
				return parsed, nil
			}
			return &boundedSet{ControlStructure: assignment, name: name}, nil
		}
	})
	for _, name := range structureNames {
		wrap(name, func(original parser.ControlStructureParser) parser.ControlStructureParser {
			return func(p, args *parser.Parser) (nodes.ControlStructure, error) {
				parsed, err := original(p, args)
				if err == nil {
					replaceOperators(parsed)
				}
				return parsed, err
			}
		})
	}
	return set
}

// structureNames are the control structures that hold expressions.
var structureNames = []string{"block", "call", "do", "extends", "filter", "for", "from", "if", "import", "include", "macro", "set", "with"}

func (b *budget) enter() error {
	if b.depth++; b.depth > MaxDepth {
		return fmt.Errorf("cannot call macros deeper than %d", MaxDepth)
	}
	return b.spend()
}

// boundedSet checks the size of the variable after an assignment.
type boundedSet struct {
	exec.ControlStructure
	name string
}

// Execute implements exec.ControlStructure.
func (s *boundedSet) Execute(r *exec.Renderer, block *nodes.ControlStructureBlock) error {
	if err := s.ControlStructure.Execute(r, block); err != nil {
		return err
	}
	value, ok := r.Environment.Context.Get(s.name)
	if ok {
		value = reference(value)
		r.Environment.Context.Set(s.name, value)
	}
	if n := size(value); n > MaxVariableBytes {
		return fmt.Errorf("cannot keep %d bytes in the variable %s, at most %d", n, s.name, MaxVariableBytes)
	}
	return nil
}

// size is the length of a text, or of the texts directly in a namespace or list.
func size(value any) int {
	switch v := value.(type) {
	case string:
		return len(v)
	case *exec.Value:
		if v == nil || v.IsNil() {
			return 0
		}
		return size(v.Interface())
	case map[string]any:
		n := 0
		for _, element := range v {
			n += size(element)
		}
		return n
	case *[]any:
		n := len(*v)
		for _, element := range *v {
			if text, ok := element.(string); ok {
				n += len(text)
			}
		}
		return n
	}
	return 0
}

// checkNesting refuses sources on which a recursive parser would run deep.
func checkNesting(source string) error {
	depth, blocks := 0, 0
	for i := range len(source) {
		switch source[i] {
		case '(', '[', '{':
			if depth++; depth > MaxNesting {
				return fmt.Errorf("cannot nest brackets deeper than %d", MaxNesting)
			}
		case ')', ']', '}':
			depth = max(0, depth-1)
		case '\n':
			// Brackets of plain text need not match; an expression seldom spans lines with open ones.
			depth = min(depth, MaxNesting/2)
		case '%':
			if i > 0 && source[i-1] == '{' {
				if blocks++; blocks > MaxSourceBytes/16 {
					return errors.New("cannot use so many blocks in one template")
				}
			}
		}
	}
	return nil
}

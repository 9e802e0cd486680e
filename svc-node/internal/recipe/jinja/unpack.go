package jinja

import (
	"fmt"

	controlstructures "github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// The engine's parser knows neither "set a, b = x, y" nor "for a, b, c in list". Both are parsed here, with its own
// expressions and blocks; what they become are its own loops and a node that unpacks.

// unpack assigns the elements of a value to several names.
type unpack struct {
	at     *tokens.Token
	names  []string
	values []nodes.Expression
}

// Position implements nodes.Node.
func (u *unpack) Position() *tokens.Token { return u.at }

// String implements nodes.Node.
func (u *unpack) String() string { return fmt.Sprintf("unpack(%v)", u.names) }

// Execute implements exec.ControlStructure.
func (u *unpack) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	var list []any
	if len(u.values) > 1 {
		for _, expression := range u.values {
			v := r.Eval(expression)
			if v.IsError() {
				return v
			}
			list = append(list, v.Interface())
		}
	} else {
		v := r.Eval(u.values[0])
		if v.IsError() {
			return v
		}
		list = elements(v)
	}
	if len(list) != len(u.names) {
		return fmt.Errorf("cannot give %d values to %d names", len(list), len(u.names))
	}
	for i, name := range u.names {
		r.Environment.Context.Set(name, reference(list[i]))
	}
	return nil
}

// several reads "a, b, c"; nil when fewer than least names follow each other.
func several(args *parser.Parser, least int) []string {
	names := []string{}
	for {
		token := args.Match(tokens.Name)
		if token == nil {
			break
		}
		names = append(names, token.Val)
		if args.Match(tokens.Comma) == nil {
			break
		}
	}
	if len(names) < least {
		return nil
	}
	return names
}

// parseUnpack reads the rest of "set a, b = …".
func parseUnpack(args *parser.Parser) (nodes.ControlStructure, error) {
	u := &unpack{at: args.Current()}
	if u.names = several(args, 2); u.names == nil {
		return nil, args.Error("Expected several names.", nil)
	}
	if args.Match(tokens.Assign) == nil {
		return nil, args.Error("Expected '='.", nil)
	}
	for {
		value, err := args.ParseExpression()
		if err != nil {
			return nil, err
		}
		u.values = append(u.values, value)
		if args.Match(tokens.Comma) == nil {
			break
		}
	}
	if !args.End() {
		return nil, args.Error("Malformed 'set'-tag arguments.", nil)
	}
	return u, nil
}

// itemName holds the element of a loop over several names; no template can write it.
const itemName = "\x00item"

// parseFor reads "for NAMES in EXPRESSION [if CONDITION]" with its body and else. Elements of a loop over three
// names and more are unpacked at the start of the body.
func parseFor(p, args *parser.Parser) (*controlstructures.ForControlStructure, error) {
	loop := &controlstructures.ForControlStructure{}
	at := args.Current()
	names := several(args, 1)
	if names == nil || args.Match(tokens.In) == nil {
		return nil, args.Error("Expected names and 'in'.", nil)
	}
	loop.Key = names[0]
	if len(names) == 2 {
		loop.Value = names[1]
	}
	var err error
	if loop.ObjectEvaluator, err = args.ParseExpression(); err != nil {
		return nil, err
	}
	if len(names) < 3 && args.MatchName("if") != nil {
		if loop.IfCondition, err = args.ParseExpression(); err != nil {
			return nil, err
		}
	}
	if !args.End() {
		return nil, args.Error("Malformed 'for'-tag arguments: recursive loops, and conditions of loops over three names, are not built in.", nil)
	}
	if loop.BodyWrapper, err = section(p, "else", "endfor"); err != nil {
		return nil, err
	}
	if loop.BodyWrapper.EndTag == "else" {
		if loop.EmptyWrapper, err = section(p, "endfor"); err != nil {
			return nil, err
		}
	}
	if len(names) > 2 {
		item := *at
		item.Type, item.Val = tokens.Name, itemName
		loop.Key = itemName
		first := &unpack{at: at, names: names, values: []nodes.Expression{&nodes.Name{Name: &item}}}
		block := &nodes.ControlStructureBlock{Location: at, Name: "unpack", ControlStructure: first}
		loop.BodyWrapper.Nodes = append([]nodes.Node{block}, loop.BodyWrapper.Nodes...)
	}
	return loop, nil
}

// section reads up to a tag without arguments.
func section(p *parser.Parser, tags ...string) (*nodes.Wrapper, error) {
	body, end, err := p.WrapUntil(tags...)
	if err != nil {
		return nil, err
	}
	if !end.End() {
		return nil, end.Error("Arguments not allowed here.", nil)
	}
	return body, nil
}

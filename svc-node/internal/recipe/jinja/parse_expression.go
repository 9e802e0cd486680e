package jinja

import (
	"fmt"
	"slices"
	"strings"
)

// parser reads tokens into a tree, by the grammar of Jinja2: each function is one level of precedence.
type parser struct {
	tokens []token
	at     int
	depth  int
	// blocks are those of the template, by name.
	blocks map[string]*blockNode
	// parent is what {% extends %} names.
	parent expression
}

func (p *parser) now() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if p.at < len(p.tokens)-1 {
		p.at++
	}
	return t
}

func (p *parser) isOperator(text string) bool {
	t := p.now()
	return t.kind == tokOperator && t.text == text
}

func (p *parser) isName(names ...string) bool {
	t := p.now()
	return t.kind == tokName && slices.Contains(names, t.text)
}

func (p *parser) skip(operator string) bool {
	if p.isOperator(operator) {
		p.next()
		return true
	}
	return false
}

func (p *parser) skipName(name string) bool {
	if p.isName(name) {
		p.next()
		return true
	}
	return false
}

func (p *parser) fail(format string, a ...any) error {
	return fmt.Errorf("line %d: %s", p.now().line, fmt.Sprintf(format, a...))
}

func (p *parser) want(operator string) error {
	if !p.skip(operator) {
		return p.fail("expected %s, found %s", operator, p.now())
	}
	return nil
}

func (p *parser) name() (string, error) {
	t := p.now()
	if t.kind != tokName {
		return "", p.fail("expected a name, found %s", t)
	}
	p.next()
	return t.text, nil
}

func (p *parser) enter() error {
	if p.depth++; p.depth > 4*MaxNesting {
		return p.fail("cannot nest expressions and blocks deeper than %d", 4*MaxNesting)
	}
	return nil
}

// expression reads a conditional expression.
func (p *parser) expression() (expression, error) { return p.conditional(true) }

func (p *parser) conditional(ternary bool) (expression, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	left, err := p.or()
	for ternary && err == nil && p.isName("if") {
		node := &choice{line: p.next().line, then: left}
		if node.condition, err = p.or(); err != nil {
			return nil, err
		}
		if p.skipName("else") {
			if node.otherwise, err = p.conditional(true); err != nil {
				return nil, err
			}
		}
		left = node
	}
	return left, err
}

// tuple reads expressions with commas between; without a comma it is just the expression.
func (p *parser) tuple(ternary bool) (expression, error) {
	first, err := p.conditional(ternary)
	if err != nil || !p.isOperator(",") {
		return first, err
	}
	all := &sequenceNode{kind: '(', items: []expression{first}}
	for p.skip(",") {
		if t := p.now(); t.kind == tokBlockEnd || t.kind == tokPrintEnd || t.kind == tokOperator && (t.text == ")" || t.text == "=") || p.isName("in") {
			break
		}
		item, err := p.conditional(ternary)
		if err != nil {
			return nil, err
		}
		all.items = append(all.items, item)
	}
	return all, nil
}

func (p *parser) or() (expression, error) {
	left, err := p.and()
	for err == nil && p.isName("or") {
		p.next()
		var right expression
		if right, err = p.and(); err == nil {
			left = &logic{left: left, right: right, or: true}
		}
	}
	return left, err
}

func (p *parser) and() (expression, error) {
	left, err := p.not()
	for err == nil && p.isName("and") {
		p.next()
		var right expression
		if right, err = p.not(); err == nil {
			left = &logic{left: left, right: right}
		}
	}
	return left, err
}

func (p *parser) not() (expression, error) {
	if !p.skipName("not") {
		return p.comparison()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	inner, err := p.not()
	return &negation{inner}, err
}

func (p *parser) comparison() (expression, error) {
	left, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	var node *comparison
	for {
		var op string
		switch t := p.now(); {
		case t.kind == tokOperator && (t.text == "==" || t.text == "!=" || t.text == "<" || t.text == ">" || t.text == "<=" || t.text == ">="):
			op = t.text
			p.next()
		case p.isName("in"):
			op = "in"
			p.next()
		case p.isName("not") && p.tokens[min(p.at+1, len(p.tokens)-1)].kind == tokName && p.tokens[min(p.at+1, len(p.tokens)-1)].text == "in":
			op = "not in"
			p.next()
			p.next()
		default:
			if node == nil {
				return left, nil
			}
			return node, nil
		}
		right, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		if node == nil {
			node = &comparison{line: p.now().line, first: left}
		}
		node.operators, node.rest = append(node.operators, op), append(node.rest, right)
	}
}

// levels of binary operators, the loosest first.
var levels = [][]string{{"+", "-"}, {"~"}, {"*", "/", "//", "%"}, {"**"}}

func (p *parser) binary(level int) (expression, error) {
	if level == len(levels) {
		return p.unary(true)
	}
	left, err := p.binary(level + 1)
	for err == nil {
		t := p.now()
		found := false
		for _, op := range levels[level] {
			found = found || t.kind == tokOperator && t.text == op
		}
		if !found {
			break
		}
		p.next()
		var right expression
		if right, err = p.binary(level + 1); err == nil {
			left = &binary{line: t.line, operator: t.text, left: left, right: right}
		}
	}
	return left, err
}

func (p *parser) unary(filters bool) (expression, error) {
	var node expression
	var err error
	if t := p.now(); t.kind == tokOperator && (t.text == "-" || t.text == "+") {
		if err := p.enter(); err != nil {
			return nil, err
		}
		defer func() { p.depth-- }()
		p.next()
		if node, err = p.unary(false); err != nil {
			return nil, err
		}
		node = &sign{line: t.line, minus: t.text == "-", inner: node}
	} else if node, err = p.primary(); err != nil {
		return nil, err
	}
	if node, err = p.postfix(node); err != nil || !filters {
		return node, err
	}
	return p.filtered(node)
}

func (p *parser) primary() (expression, error) {
	t := p.now()
	switch t.kind {
	case tokName:
		p.next()
		switch t.text {
		case "true", "True":
			return &constant{true}, nil
		case "false", "False":
			return &constant{false}, nil
		case "none", "None":
			return &constant{nil}, nil
		}
		return &nameNode{line: t.line, name: t.text}, nil
	case tokString:
		var b strings.Builder
		for p.now().kind == tokString {
			b.WriteString(p.next().text)
		}
		return &constant{b.String()}, nil
	case tokInteger:
		p.next()
		return &constant{t.int}, nil
	case tokFloat:
		p.next()
		return &constant{t.num}, nil
	case tokOperator:
		switch t.text {
		case "(":
			p.next()
			if p.skip(")") {
				return &sequenceNode{kind: '('}, nil
			}
			inner, err := p.tuple(true)
			if err != nil {
				return nil, err
			}
			return inner, p.want(")")
		case "[":
			return p.listLiteral()
		case "{":
			return p.dictLiteral()
		}
	default:
	}
	return nil, p.fail("expected an expression, found %s", t)
}

func (p *parser) listLiteral() (expression, error) {
	p.next()
	node := &sequenceNode{kind: '['}
	for !p.isOperator("]") {
		item, err := p.expression()
		if err != nil {
			return nil, err
		}
		node.items = append(node.items, item)
		if !p.skip(",") {
			break
		}
	}
	return node, p.want("]")
}

func (p *parser) dictLiteral() (expression, error) {
	node := &dictNode{line: p.next().line}
	for !p.isOperator("}") {
		key, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.want(":"); err != nil {
			return nil, err
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		node.keys, node.values = append(node.keys, key), append(node.values, v)
		if !p.skip(",") {
			break
		}
	}
	return node, p.want("}")
}

// chain parses what follows an expression, as long as one finds something that does.
func (p *parser) chain(node expression, one func(expression) (expression, error)) (expression, error) {
	for {
		next, err := one(node)
		if err != nil {
			return nil, err
		}
		if next == nil {
			return node, nil
		}
		node = next
	}
}

func (p *parser) postfix(node expression) (expression, error) {
	return p.chain(node, func(node expression) (expression, error) {
		line := p.now().line
		switch {
		case p.skip("."):
			switch attr := p.next(); attr.kind {
			case tokName:
				return &attribute{line: line, object: node, name: attr.text}, nil
			case tokInteger:
				return &subscript{line: line, object: node, key: &constant{attr.int}}, nil
			default:
				return nil, p.fail("expected a name after the dot, found %s", attr)
			}
		case p.isOperator("["):
			return p.subscript(node)
		case p.isOperator("("):
			return p.call(node)
		}
		return nil, nil
	})
}

func (p *parser) subscript(object expression) (expression, error) {
	line := p.next().line
	var parts [3]expression
	n, slice := 0, false
	for !p.isOperator("]") {
		if p.skip(":") {
			slice = true
			if n++; n > 2 {
				return nil, p.fail("a slice has three parts at most")
			}
			continue
		}
		var err error
		if parts[n] != nil {
			return nil, p.fail("expected ], found %s", p.now())
		}
		if parts[n], err = p.tuple(true); err != nil {
			return nil, err
		}
	}
	p.next()
	if slice {
		return &sliceNode{line: line, object: object, parts: parts}, nil
	}
	if parts[0] == nil {
		return nil, p.fail("expected an index")
	}
	return &subscript{line: line, object: object, key: parts[0]}, nil
}

func (p *parser) call(target expression) (expression, error) {
	node := &callNode{line: p.now().line, target: target}
	a, err := p.arguments()
	node.arguments = a
	return node, err
}

// arguments reads "(a, b=c, *d, **e)".
func (p *parser) arguments() (callArguments, error) {
	var a callArguments
	if err := p.want("("); err != nil {
		return a, err
	}
	for !p.isOperator(")") {
		argument := callArgument{}
		switch {
		case p.skip("**"):
			argument.spread = 2
		case p.skip("*"):
			argument.spread = 1
		case p.now().kind == tokName && p.tokens[min(p.at+1, len(p.tokens)-1)].kind == tokOperator && p.tokens[min(p.at+1, len(p.tokens)-1)].text == "=":
			argument.name = p.next().text
			p.next()
		}
		var err error
		if argument.value, err = p.expression(); err != nil {
			return a, err
		}
		a = append(a, argument)
		if !p.skip(",") {
			break
		}
	}
	return a, p.want(")")
}

func (p *parser) filtered(node expression) (expression, error) {
	return p.chain(node, func(node expression) (expression, error) {
		switch {
		case p.isOperator("|"):
			return p.filter(node)
		case p.isName("is"):
			return p.test(node)
		case p.isOperator("("):
			return p.call(node)
		}
		return nil, nil
	})
}

func (p *parser) filter(node expression) (expression, error) {
	line := p.next().line
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	f := &filterNode{applied{line: line, input: node, name: name}}
	if p.isOperator("(") {
		f.arguments, err = p.arguments()
	}
	return f, err
}

func (p *parser) test(node expression) (expression, error) {
	line := p.next().line
	negated := p.skipName("not")
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	test := &testNode{applied{line: line, input: node, name: name}}
	switch t := p.now(); {
	case p.isOperator("("):
		test.arguments, err = p.arguments()
	case t.kind == tokName && !p.isName("else", "or", "and", "if", "is", "not", "in") || t.kind == tokString || t.kind == tokInteger || t.kind == tokFloat ||
		t.kind == tokOperator && (t.text == "[" || t.text == "{"):
		var argument expression
		if argument, err = p.primary(); err == nil {
			argument, err = p.postfix(argument)
		}
		test.arguments = callArguments{{value: argument}}
	}
	if negated {
		return &negation{test}, err
	}
	return test, err
}

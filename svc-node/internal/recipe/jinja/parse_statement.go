package jinja

// parse reads a template.
func parse(source string) (*parsed, error) {
	tokens, err := scan(source)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens, blocks: map[string]*blockNode{}}
	body, err := p.body()
	if err != nil {
		return nil, err
	}
	if p.now().kind != tokEnd {
		return nil, p.fail("cannot place %s here", p.now())
	}
	return &parsed{body: body, blocks: p.blocks, parent: p.parent}, nil
}

// parsed is a template.
type parsed struct {
	body   []statement
	blocks map[string]*blockNode
	parent expression
}

// body reads up to one of the tags, which is left to be read, or to the end.
func (p *parser) body(ends ...string) ([]statement, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	var out []statement
	for {
		t := p.now()
		switch t.kind {
		case tokEnd:
			if len(ends) > 0 {
				return nil, p.fail("the template ends before %s", ends[len(ends)-1])
			}
			return out, nil
		case tokData:
			p.next()
			out = append(out, dataNode(t.text))
		case tokPrintBegin:
			p.next()
			e, err := p.tuple(true)
			if err != nil {
				return nil, err
			}
			if p.now().kind != tokPrintEnd {
				return nil, p.fail("expected }}, found %s", p.now())
			}
			p.next()
			out = append(out, &printNode{line: t.line, value: e})
		case tokBlockBegin:
			p.next()
			if p.isName(ends...) {
				return out, nil
			}
			s, err := p.statement()
			if err != nil {
				return nil, err
			}
			if s != nil {
				out = append(out, s)
			}
		default:
			return nil, p.fail("cannot place %s here", t)
		}
	}
}

// closed reads the end of a tag.
func (p *parser) closed() error {
	if p.now().kind != tokBlockEnd {
		return p.fail("expected %%}, found %s", p.now())
	}
	p.next()
	return nil
}

// inner reads the end of the tag, a body, and the tag that ends it.
func (p *parser) inner(end string) ([]statement, error) {
	if err := p.closed(); err != nil {
		return nil, err
	}
	body, err := p.body(end)
	if err != nil {
		return nil, err
	}
	p.next()
	return body, nil
}

func (p *parser) statement() (statement, error) {
	line := p.now().line
	tag, err := p.name()
	if err != nil {
		return nil, err
	}
	var s statement
	switch tag {
	case "if":
		s, err = p.ifTag()
	case "for":
		s, err = p.forTag(line)
	case "set":
		s, err = p.setTag(line)
	case "do":
		do := &doNode{line: line}
		do.value, err = p.tuple(true)
		s = do
	case "macro":
		s, err = p.macroTag(line)
	case "call":
		s, err = p.callTag(line)
	case "filter":
		s, err = p.filterTag(line)
	case "with":
		s, err = p.withTag(line)
	case "break", "continue":
		s = &jump{again: tag == "continue"}
	case "import", "from":
		s, err = p.importTag(line, tag == "from")
	case "include":
		s, err = p.includeTag(line)
	case "extends":
		p.parent, err = p.expression()
	case "block":
		s, err = p.blockTag(line)
	case "autoescape":
		if _, err = p.expression(); err == nil {
			var body []statement
			body, err = p.inner("endautoescape")
			s = group(body)
		}
	default:
		p.at--
		return nil, p.fail("cannot use the tag %s: it is not known here", tag)
	}
	if err != nil {
		return nil, err
	}
	return s, p.closed()
}

func (p *parser) ifTag() (statement, error) {
	node := &ifNode{}
	for {
		condition, err := p.tuple(true)
		if err != nil {
			return nil, err
		}
		if err := p.closed(); err != nil {
			return nil, err
		}
		body, err := p.body("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		node.conditions, node.bodies = append(node.conditions, condition), append(node.bodies, body)
		switch p.next().text {
		case "elif":
			continue
		case "else":
			node.otherwise, err = p.inner("endif")
			return node, err
		}
		return node, nil
	}
}

// target reads names that are assigned to: a, or a, b, or a, (b, c), or namespace.attribute.
func (p *parser) target(attributes bool) (target, error) {
	var all target
	several := false
	for !p.isName("in") && !p.isOperator("=") && !p.isOperator(")") {
		if p.skip("(") {
			inner, err := p.target(false)
			if err != nil {
				return all, err
			}
			if err := p.want(")"); err != nil {
				return all, err
			}
			inner.several = inner.several || len(inner.parts) > 1
			all.parts = append(all.parts, inner)
		} else {
			name, err := p.name()
			if err != nil {
				return all, err
			}
			one := target{name: name}
			if attributes && p.skip(".") {
				if one.attribute, err = p.name(); err != nil {
					return all, err
				}
			}
			all.parts = append(all.parts, one)
		}
		if !p.skip(",") {
			break
		}
		several = true
	}
	if len(all.parts) == 0 {
		return all, p.fail("expected a name, found %s", p.now())
	}
	if len(all.parts) == 1 && !several {
		return all.parts[0], nil
	}
	all.several = true
	return all, nil
}

func (p *parser) forTag(line int) (statement, error) {
	node := &forNode{line: line}
	var err error
	if node.target, err = p.target(false); err != nil {
		return nil, err
	}
	if !p.skipName("in") {
		return nil, p.fail("expected in, found %s", p.now())
	}
	if node.over, err = p.tuple(false); err != nil {
		return nil, err
	}
	if p.skipName("if") {
		if node.condition, err = p.expression(); err != nil {
			return nil, err
		}
	}
	node.recursive = p.skipName("recursive")
	if err := p.closed(); err != nil {
		return nil, err
	}
	if node.body, err = p.body("else", "endfor"); err != nil {
		return nil, err
	}
	if p.next().text == "else" {
		node.otherwise, err = p.inner("endfor")
	}
	return node, err
}

func (p *parser) setTag(line int) (statement, error) {
	node := &setNode{line: line}
	var err error
	if node.target, err = p.target(true); err != nil {
		return nil, err
	}
	if p.skip("=") {
		node.value, err = p.tuple(true)
		return node, err
	}
	for p.isOperator("|") && err == nil {
		if node.filter, err = p.filter(orInput(node.filter)); err != nil {
			return nil, err
		}
	}
	node.body, err = p.inner("endset")
	return node, err
}

// orInput is what a filter of a block is applied to: another filter, or the block's text.
func orInput(e expression) expression {
	if e == nil {
		return blockText{}
	}
	return e
}

func (p *parser) filterTag(line int) (statement, error) {
	p.at-- // read "filter" again, as if it were the bar
	f, err := p.filter(blockText{})
	for err == nil && p.isOperator("|") {
		f, err = p.filter(f)
	}
	if err != nil {
		return nil, err
	}
	node := &filterBlock{line: line, filter: f}
	node.body, err = p.inner("endfilter")
	return node, err
}

// signature reads "(a, b=1)".
func (p *parser) signature(m *macroNode) error {
	if err := p.want("("); err != nil {
		return err
	}
	for !p.isOperator(")") {
		name, err := p.name()
		if err != nil {
			return err
		}
		var otherwise expression
		if p.skip("=") {
			if otherwise, err = p.expression(); err != nil {
				return err
			}
		}
		m.names, m.defaults = append(m.names, name), append(m.defaults, otherwise)
		if !p.skip(",") {
			break
		}
	}
	return p.want(")")
}

func (p *parser) macroTag(line int) (statement, error) {
	node := &macroNode{line: line}
	var err error
	if node.name, err = p.name(); err != nil {
		return nil, err
	}
	if err := p.signature(node); err != nil {
		return nil, err
	}
	from := p.at
	node.body, err = p.inner("endmacro")
	for _, t := range p.tokens[from:p.at] {
		node.varargs = node.varargs || t.kind == tokName && t.text == "varargs"
		node.kwargs = node.kwargs || t.kind == tokName && t.text == "kwargs"
	}
	return node, err
}

func (p *parser) callTag(line int) (statement, error) {
	node := &callBlock{line: line, caller: &macroNode{line: line, name: "caller"}}
	if p.isOperator("(") {
		if err := p.signature(node.caller); err != nil {
			return nil, err
		}
	}
	e, err := p.expression()
	if err != nil {
		return nil, err
	}
	call, ok := e.(*callNode)
	if !ok {
		return nil, p.fail("expected a call")
	}
	node.call = call
	node.caller.body, err = p.inner("endcall")
	return node, err
}

func (p *parser) withTag(line int) (statement, error) {
	node := &withNode{line: line}
	for p.now().kind == tokName {
		t, err := p.target(false)
		if err != nil {
			return nil, err
		}
		if err := p.want("="); err != nil {
			return nil, err
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		node.targets, node.values = append(node.targets, t), append(node.values, v)
		if !p.skip(",") {
			break
		}
	}
	var err error
	node.body, err = p.inner("endwith")
	return node, err
}

// withContext reads "with context" and "without context".
func (p *parser) withContext(otherwise bool) bool {
	if p.isName("with", "without") && p.tokens[min(p.at+1, len(p.tokens)-1)].text == "context" {
		with := p.next().text == "with"
		p.next()
		return with
	}
	return otherwise
}

func (p *parser) importTag(line int, from bool) (statement, error) {
	node := &importNode{line: line}
	var err error
	if node.file, err = p.expression(); err != nil {
		return nil, err
	}
	if !from {
		if !p.skipName("as") {
			return nil, p.fail("expected as, found %s", p.now())
		}
		if node.as, err = p.name(); err != nil {
			return nil, err
		}
		node.context = p.withContext(false)
		return node, nil
	}
	if !p.skipName("import") {
		return nil, p.fail("expected import, found %s", p.now())
	}
	for p.now().kind == tokName {
		if p.isName("with", "without") && p.tokens[min(p.at+1, len(p.tokens)-1)].text == "context" {
			break
		}
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		as := name
		if p.skipName("as") {
			if as, err = p.name(); err != nil {
				return nil, err
			}
		}
		node.names, node.aliases = append(node.names, name), append(node.aliases, as)
		if !p.skip(",") {
			break
		}
	}
	if len(node.names) == 0 {
		return nil, p.fail("expected names, found %s", p.now())
	}
	node.context = p.withContext(false)
	return node, nil
}

func (p *parser) includeTag(line int) (statement, error) {
	node := &includeNode{line: line}
	var err error
	if node.file, err = p.expression(); err != nil {
		return nil, err
	}
	if p.skipName("ignore") {
		if !p.skipName("missing") {
			return nil, p.fail("expected missing, found %s", p.now())
		}
		node.optional = true
	}
	node.context = p.withContext(true)
	return node, nil
}

func (p *parser) blockTag(line int) (statement, error) {
	node := &blockNode{line: line}
	var err error
	if node.name, err = p.name(); err != nil {
		return nil, err
	}
	p.skipName("scoped")
	if _, ok := p.blocks[node.name]; ok {
		return nil, p.fail("a block %s is there already", node.name)
	}
	p.blocks[node.name] = node
	if node.body, err = p.inner("endblock"); err != nil {
		return nil, err
	}
	p.skipName(node.name)
	return node, nil
}

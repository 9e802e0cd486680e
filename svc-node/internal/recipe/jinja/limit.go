package jinja

import "fmt"

// Limits. Real templates stay below a hundredth of each.
const (
	// MaxSourceBytes bounds one template file.
	MaxSourceBytes = 256 << 10
	// MaxOutputBytes bounds what one template renders.
	MaxOutputBytes = 4 << 20
	// MaxIterations bounds loop iterations and macro calls of one rendering together.
	MaxIterations = 100_000
	// MaxSteps bounds the expressions and elements one rendering evaluates.
	MaxSteps = 5_000_000
	// MaxDepth bounds macros, recursive loops and imports within each other: each level costs kilobytes of stack.
	MaxDepth = 100
	// MaxNesting bounds brackets inside brackets and blocks inside blocks: the parser recurses on them.
	MaxNesting = 64
	// MaxReads bounds the templates one rendering imports and includes, each time counted.
	MaxReads = 100
	// MaxRange bounds one range() and one padding width.
	MaxRange = 10_000
	// MaxElements bounds one list or dictionary.
	MaxElements = 100_000
	// MaxTextBytes bounds one text that a template makes, since {% set x = x ~ x %} doubles.
	MaxTextBytes = 4 << 20
	// MaxMadeBytes bounds all texts and lists that one rendering makes together, given back or not.
	MaxMadeBytes = 64 << 20
)

// budget is what one rendering may still use.
type budget struct {
	iterations, steps, depth, reads, made int
}

func (b *budget) step(n int) error {
	if b.steps += n; b.steps > MaxSteps {
		return fmt.Errorf("cannot take more than %d steps in one template", MaxSteps)
	}
	return nil
}

func (b *budget) iterate() error {
	if b.iterations++; b.iterations > MaxIterations {
		return fmt.Errorf("cannot loop more than %d times in one template", MaxIterations)
	}
	return nil
}

// enter counts one level; the caller leaves by decreasing depth.
func (b *budget) enter() error {
	if b.depth++; b.depth > MaxDepth {
		return fmt.Errorf("cannot call deeper than %d", MaxDepth)
	}
	return b.iterate()
}

// text accounts for a text of n bytes that is about to be made.
func (b *budget) text(n int) error {
	if n > MaxTextBytes {
		return fmt.Errorf("cannot make a text of %d bytes, at most %d", n, MaxTextBytes)
	}
	if b.made += n; b.made > MaxMadeBytes {
		return fmt.Errorf("cannot make more than %d bytes in one template", MaxMadeBytes)
	}
	return nil
}

// elements accounts for a list or dictionary that is about to have n elements.
func (b *budget) elements(n int) error {
	if n > MaxElements {
		return fmt.Errorf("cannot keep more than %d elements", MaxElements)
	}
	if b.made += 16 * n; b.made > MaxMadeBytes {
		return fmt.Errorf("cannot make more than %d bytes in one template", MaxMadeBytes)
	}
	return b.step(n)
}

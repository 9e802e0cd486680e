package model

import (
	"fmt"
	"time"
)

// plan is what one instance is made of, drawn from the seed: what its software release would say.
type plan struct {
	title    string
	children []*plan
	services int
	promises []promisePlan
	// policy says that its bangs concern only itself and its requesters.
	ancestors bool
	// shares says that it requests a shared instance too.
	shares bool
	// waits says that its runs fail as long as a child is not ready.
	waits bool
}

// promisePlan is one promise of an instance.
type promisePlan struct {
	name   string
	period time.Duration
	// service that it looks at; -1 = none.
	service int
	// failures in a row that make an anomaly.
	failures int
	// never passes; it is not allowed to bang when silent.
	never, silent bool
}

// treePlan is a tree of instances.
type treePlan struct {
	id   string
	root *plan
	all  []*plan
}

func (p *treePlan) find(title string) *plan {
	for _, one := range p.all {
		if one.title == title {
			return one
		}
	}
	return nil
}

// rootTitle is the title of each tree's root.
const rootTitle = "i0"

// plant draws the trees: chains, stars and whatever is between, of 1 to 7 instances.
func (w *World) plant() {
	for n := range w.cfg.Trees {
		t := &treePlan{id: fmt.Sprintf("t%012d", n)}
		size, shape := 1+w.rand.IntN(6), w.rand.IntN(3)
		for i := range size {
			p := w.instancePlan(fmt.Sprintf("i%d", i))
			switch {
			case i == 0:
				t.root = p
			case shape == 0: // a chain
				t.all[i-1].children = append(t.all[i-1].children, p)
			case shape == 1: // a star
				t.root.children = append(t.root.children, p)
			default:
				parent := pick(&w.loop, t.all)
				parent.children = append(parent.children, p)
			}
			t.all = append(t.all, p)
		}
		t.root.shares = w.chance(w.cfg.Shares)
		w.plans = append(w.plans, t)
	}
	for n := range w.cfg.Never {
		p := w.instancePlan(rootTitle)
		p.promises = append(p.promises, promisePlan{name: "never", period: 2 * time.Minute, service: -1, failures: 1, never: true})
		w.plans = append(w.plans, &treePlan{id: fmt.Sprintf("tnever%07d", n), root: p, all: []*plan{p}})
	}
}

func (w *World) instancePlan(title string) *plan {
	p := &plan{title: title, services: w.rand.IntN(3), ancestors: w.chance(w.cfg.Ancestors), waits: w.chance(0.3)}
	for i := range w.rand.IntN(3) {
		p.promises = append(p.promises, promisePlan{
			name: fmt.Sprintf("p%d", i), period: w.between(time.Minute, 5*time.Minute), service: w.rand.IntN(p.services+1) - 1,
			failures: 1 + 2*w.rand.IntN(2), silent: w.chance(0.1),
		})
	}
	return p
}

package profile

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// Installed is what the record of a partition says of one part, as far as planning needs it.
type Installed struct {
	Name string
	// Recipe is the recipe that installed it, Signature that recipe's version.
	Recipe    string
	Signature int
	// Options are the fingerprints of the options that counted when it was installed.
	Options map[string]string
}

// Recipes is what a planner must know of recipes: the version of each, and whether its parts are updated when
// they did not change. A recipe that is not known gets ok false.
type Recipes func(recipe string) (signature int, updates bool, ok bool)

// Action is what to do with a part.
type Action string

// Actions, in the order of a run: what vanished goes first, then parts in the order of the profile.
const (
	Uninstall Action = "uninstall"
	Install   Action = "install"
	Reinstall Action = "reinstall"
	Update    Action = "update"
	Skip      Action = "skip"
	Wait      Action = "wait"
)

// Step is one part's place in the plan.
type Step struct {
	Name   string
	Action Action
	// Reason is for people: "new", "changed: command-line, environment", "unchanged", "no longer in the profile".
	Reason string
	// Part is nil for uninstall.
	Part *Part
	// Fingerprints are what to record once the part is installed.
	Fingerprints map[string]string
}

// PlanParts compares a resolved profile with what is installed. An unknown recipe is an *Error with its place.
// known lists the recipes there are, for the suggestion.
func PlanParts(resolved *Resolved, installed []Installed, recipes Recipes, known []string) ([]Step, error) {
	before := make(map[string]*Installed, len(installed))
	for i := range installed {
		before[installed[i].Name] = &installed[i]
	}
	wanted := make(map[string]bool, len(resolved.Parts))
	for i := range resolved.Parts {
		wanted[resolved.Parts[i].Name] = true
	}
	steps := make([]Step, 0, len(resolved.Parts))
	var scratch []byte
	for _, old := range slices.Backward(installed) {
		if !wanted[old.Name] {
			steps = append(steps, Step{Name: old.Name, Action: Uninstall, Reason: "no longer in the profile"})
		}
	}
	for i := range resolved.Parts {
		part := &resolved.Parts[i]
		signature, updates, ok := recipes(part.Recipe)
		if !ok {
			at, _ := part.PositionOf("recipe")
			return nil, UnknownRecipe(at, part.Name, part.Recipe, known)
		}
		step := Step{Name: part.Name, Part: part}
		if part.Waiting != nil {
			step.Action, step.Reason = Wait, part.Waiting.Error()
			steps = append(steps, step)
			continue
		}
		step.Action, step.Reason, step.Fingerprints = decide(before[part.Name], part, signature, updates, &scratch)
		steps = append(steps, step)
	}
	return steps, nil
}

// ErrNotBuiltIn is what an *Error wraps when nothing is wrong with the profile, but it needs what only a real buildout has:
// a recipe that is not built in, Python.
var ErrNotBuiltIn = errors.New("not built in")

// UnknownRecipe is the error for a recipe that is not built in.
func UnknownRecipe(at Position, section, recipe string, known []string) *Error {
	return &Error{
		Position: at, Section: section, Option: "recipe",
		Problem:    "cannot install this part: the recipe " + recipe + " is not built in (docs/recipes.md lists those that are)",
		Suggestion: Suggest(recipe, known), Cause: ErrNotBuiltIn,
	}
}

func decide(old *Installed, part *Part, signature int, updates bool, scratch *[]byte) (action Action, reason string, fingerprints map[string]string) {
	switch {
	case old == nil:
		return Install, "new", part.Fingerprints()
	case old.Recipe != part.Recipe:
		return Reinstall, "changed: recipe", part.Fingerprints()
	case old.Signature != signature:
		return Reinstall, "the recipe itself changed", part.Fingerprints()
	case !part.same(old.Options, scratch):
		fingerprints = part.Fingerprints()
		return Reinstall, "changed: " + strings.Join(differences(old.Options, fingerprints), ", "), fingerprints
	case updates:
		return Update, "unchanged, its recipe updates", old.Options
	}
	return Skip, "unchanged", old.Options
}

// same says whether the part's fingerprints are those given. A run that changes nothing asks it of each part, so it makes
// no map to compare, and copies into scratch what it hashes.
func (p *Part) same(fingerprints map[string]string, scratch *[]byte) bool {
	count := 0
	for name, value := range p.Options {
		if p.Volatile[name] {
			continue
		}
		count++
		*scratch = append((*scratch)[:0], value.text...)
		now := fingerprint(*scratch)
		if was, ok := fingerprints[name]; !ok || was != string(now[:]) {
			return false
		}
	}
	return count == len(fingerprints)
}

// Fingerprints are those of the options that count as a change of the part.
func (p *Part) Fingerprints() map[string]string {
	all := make(map[string]string, len(p.Options))
	for name, value := range p.Options {
		if !p.Volatile[name] {
			all[name] = value.Fingerprint()
		}
	}
	return all
}

// differences names the options that differ, in alphabetical order.
func differences(old, now map[string]string) []string {
	var changed []string
	for name, value := range now {
		if was, ok := old[name]; !ok || was != value {
			changed = append(changed, name)
		}
	}
	for name := range maps.Keys(old) {
		if _, ok := now[name]; !ok {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return changed
}

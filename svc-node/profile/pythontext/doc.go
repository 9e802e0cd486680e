// Package pythontext writes values as Python's str() and repr() do: profiles, templates and promises that were written for
// Python meet texts that they compare, or that people know.
//
// It is pure. profile, internal/recipe/jinja and internal/sensor/builtin import it.
package pythontext

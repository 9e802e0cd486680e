package jinja

import (
	"strings"

	"github.com/vow-os/vow/svc-node/profile/pythontext"
)

// Literal writes a value as a Python literal: what slapos.buildout keeps data in, and what generated Python promises take
// their configuration from. "$" is written as an escape, so that a profile that holds the literal finds no reference in it.
func Literal(value any) string {
	return strings.ReplaceAll(pythontext.Repr(value), "$", `\x24`)
}

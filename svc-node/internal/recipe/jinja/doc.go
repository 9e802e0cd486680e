// Package jinja renders Jinja2 templates of instance profiles, with github.com/nikolalohinski/gonja, inside
// bounds: a template reads no file but those its caller names, writes at most MaxOutputBytes, loops at most
// MaxIterations times, and a panic of the engine is an error.
//
// It stands on gonja's own syntax nodes: each loop body and macro body gets a first node that counts. That
// way the engine stays unmodified and is still bounded.
//
// internal/recipe imports it.
package jinja

// Package interpreter tells which Python, and which modules before its own, a script or a software release names.
//
// What zc.buildout writes begins with the path of its Python and puts the release's eggs before sys.path; the release's
// bin/buildout is such a script. Reading is bounded, and what is read is data: whether it may be executed, and as whom, the
// caller decides.
//
// internal/pythonhost, internal/run and internal/install import it.
package interpreter

// Package tiltfile evaluates tilt/Tiltfile without Tilt: its built-ins are recorders. What is tested is that all that the file names exists: files, resources, objects, images.
//
// Invariant: the built-ins take the arguments that Tilt's take, and no others, so that a misspelt one fails here. Only its own test uses it.
package tiltfile

// Package terminal is a screen of text on a Linux terminal: its size, its keys, and lines that are drawn anew.
//
// Invariants: what was changed of the terminal is as it was after Close, whatever happened between; interrupts stay signals. It knows nothing of what is shown. The commands of `vow` import it, nobody else.
package terminal

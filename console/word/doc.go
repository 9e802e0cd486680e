// Package word has the words that people read for what the contract says in numbers: the verdict of a promise, the entries of the audit. docs/words.md lists them.
//
// Invariants: it is pure. One thing has one word, which can be typed where it is read: a filter takes what a table shows.
// vow's commands and the console import it.
package word

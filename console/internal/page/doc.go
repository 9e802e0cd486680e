// Package page is the console's pages: what each asks, what it shows, and how it is kept up to date.
//
// Invariants: a page and its live update are made by the same function; nothing needs scripts; whatever a service said is escaped by its context; a list is cut into pages and says so;
// what a service does not answer is said on the page. A GET changes nothing; what changes something is in action.go. Only console/app imports it.
package page

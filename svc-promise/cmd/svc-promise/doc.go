// Command svc-promise runs svc-promise by itself; see package app.
package main

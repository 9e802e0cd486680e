// Command svc-scheduler runs svc-scheduler by itself; see package app.
package main

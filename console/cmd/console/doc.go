// Command console runs the console by itself; see package app.
package main

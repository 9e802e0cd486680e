// Command vow runs the whole fleet on one machine (`vow up`, `vow demo`) and is a client of all services.
package main

// Package ask asks the services what package why needs to say why a tree, an instance, a partition or a computer has its colour.
//
// Invariants: it only reads, and asks a bounded number of questions whatever the size of the tree. Without svc-master there is no answer; what svc-scheduler and svc-promise
// do not answer is noted in the facts as not known. vow's commands and the console import it.
package ask

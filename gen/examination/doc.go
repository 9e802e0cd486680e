// Package examination answers vow.examine.v1.ExamineService for any service: what it finds out about itself, within a bound.
//
// Invariants: an examination ends after Within, whatever a check does with its time as long as it heeds its context. What is found is for people, and holds no secrets.
//
// The internal/api packages of services import it. It imports nothing that the generated code does not: checks come as anything that can tell itself, as those of
// kit/examine do, since neither of the leaf modules gen and kit may import the other.
package examination

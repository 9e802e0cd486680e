// Package byhand runs the promises of a partition's directory for a person, without a node: `vow promise run`.
//
//	directory ─▶ sensor.Promises ─▶ due? (cache, --force) ─▶ Sensor ─▶ group ─┐
//	  its logs ─▶ statusfile.Executions ─▶ the groups before it ──────────────┴▶ sense.Account: svc-promise's core ─▶ tell
//
// Invariants: nobody is root who does not have to be (root becomes the owner of the directory for all that it touches); a dry
// run writes nothing in the partition; rules are those of svc-promise/verdict and nowhere else; a promise that fails is an answer,
// not an error. Files have SlapOS's names and forms, so that either tool goes on where the other stopped.
//
// app imports it.
package byhand

// Package alarm tells svc-master of anomalies: once each, again and again until it is told, in the trace of what was noticed.
//
// Invariants: at most one bang of a promise is on its way; the batch that carried its group is acknowledged to the node only after the bang was; a bang that cannot be told within the limit is given up aloud, and the
// promise's next group tries again. internal/api and app import it.
package alarm

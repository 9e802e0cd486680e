// Package notifier tells people of what console/notify decides: it follows svc-master's streams, keeps the state in a file, and sends webhooks and mails (docs/notifications.md).
//
// Invariants: one process at a time has the file; what was decided is in it before it is sent. No secret, and no URL of a receiver, is in a log or an error. Every call has a deadline. console/app imports it, nobody else.
package notifier

// Package app is svc-scheduler as a part: New, Start, Addr, Stop. main, `vow up` and the simulators use it.
//
//	store ─ client of svc-master ─ owners ─ server (Orders, Agenda) ─ follower, unsettled readings, contacts
//
// Parts start in this order and stop in reverse: streams end before the store is closed, so that their ends are saved.
package app

// Package parameter checks the parameters of instances with the JSON schemas that software releases ship.
//
//	a node reports a release as available, with the digest of its schema ─▶ Learn ─▶ kept once for each digest (internal/redisstore)
//	a request ─▶ Of(release): the schema, compiled, from memory ─▶ Check: what is wrong, by JSON pointer
//	each hour ─▶ Keep: what no computer is supplied with is forgotten; what was lost is asked for again
//
// Invariants: what is compiled is bounded in number (maxReleases) and, by kit/schema, in size and work; it is used for fresh at the longest before the store
// is asked whether the release has another schema by now. A release of which nothing is known is asked for each time: one HGET, and only by requests. No
// bang, begin or report comes here. A schema that cannot be used checks nothing.
//
// internal/api, internal/placement and app import it; nothing else does.
package parameter

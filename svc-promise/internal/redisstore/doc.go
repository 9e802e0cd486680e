// Package redisstore keeps the history of promises and their mutes in Redis.
//
//	{a:<allocation>}h:<promise>   hash   v (version), s (vow.store.v1.PromiseRecord), <level>:<number> (PromiseHour of level 0, else PromiseBucket)
//	{a:<allocation>}promises      zset   promise → when it was sensed last; the newest MaxPromises
//	{pNN}crimes                   zset   <allocation>/<promise> → when its crime was seen last; 16 shards by allocation
//	{mutes}                       hash   #version, <allocation>/<promise> (PromiseMuteRecord)
//	{mutes}acts                   list   who muted and unmuted what, newest first, the newest MaxActs
//
// A promise is written by compare-and-swap of its version (save.lua), since a node's stream may move between replicas and a run's groups may come to another
// one: whoever lost reads again and merges again. Running a script twice writes the same or is refused. History is removed Retention after the allocation was
// heard of last, by expiry: nothing correct depends on it. A mute ends by its date, not by expiry.
//
// recorder, mute and app import it.
package redisstore

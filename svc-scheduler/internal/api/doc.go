// Package api translates between RPC and this service: the handlers of vow.scheduler.v1 and the client of svc-master.
//
// Handlers only translate, in convert.go; what they decide is in owner and agenda. Besides kit/rpc it alone imports the RPC
// library. A message of the stream of orders that is not taken within WriteTimeout cuts the stream.
//
// svc-scheduler's app imports it.
package api

// Package vowclient is what programs that call vow need beside the generated clients: requests that wait, waiting for Green, bangs that are followed to
// their end, pages, idempotency keys, and errors that errors.As tells apart.
//
//	c := vowclient.New(http.DefaultClient, "http://127.0.0.1:7711")
//	instance, err := c.RequestAndWait(ctx, &masterv1.RequestInstanceRequest{Title: "shop", SoftwareRelease: "file:///opt/releases/shop"})
//	fmt.Println(instance.GetConnectionParameters()["url"])
//	convergence, err := c.BangAndWait(ctx, &masterv1.BangRequest{Target: &masterv1.BangRequest_TreeId{TreeId: instance.GetTreeId()}, Source: "shop deployment"})
//
// It works over either stack: New over Connect, NewGRPC over a grpc-go connection with whatever that brings (name resolution, balancing, interceptors).
//
// Each call here is idempotent, since it carries a key, and is made again while svc-master does not answer: after the delay that svc-master advised, or a
// growing one. Who gives no key gets one that lives as long as the call; who may die in between gives one of its own (Key). A wait watches a stream, which
// is opened again when it breaks and each minute; the stream is a hint only, what decides is the state that is read then.
//
// Bounds: an attempt takes CallTimeout, the time without any answer Patience; a wait takes as long as its context allows. Nothing here logs, and no goroutine
// is left when a method returns or an iteration ends.
//
// Anyone may import it: it is why the module gen is a leaf (docs/clients.md). It imports nothing that the generated code does not.
package vowclient

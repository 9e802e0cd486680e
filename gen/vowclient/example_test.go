package vowclient_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vowclient"
)

// Request a tree, wait until it works, and read what it published.
func ExampleClient_RequestAndWait() {
	master := serve() // in your program: where svc-master is, e.g. http://127.0.0.1:7711
	defer master.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	c := vowclient.New(&http.Client{}, master.URL)
	instance, err := c.RequestAndWait(ctx, &masterv1.RequestInstanceRequest{
		RequestId: vowclient.Key("deploy", "shop", "build 17"), // a restarted deployment makes the same call
		Title:     "shop", SoftwareRelease: "file:///opt/releases/shop", Parameters: map[string]string{"greeting": "hello"},
	})
	var notReady *vowclient.NotReadyError
	var invalid *vowclient.InvalidError
	switch {
	case errors.As(err, &notReady):
		fmt.Println("not within a minute:", notReady.Reason)
	case errors.As(err, &invalid):
		fmt.Println("never, as it is:", invalid.Violations)
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println(instance.GetConnectionParameters()["url"])
	}
	// Output: http://127.0.0.1:8080/
}

// Bang a tree and follow the convergence to its end.
func ExampleClient_Follow() {
	master := serve()
	defer master.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	c := vowclient.New(&http.Client{}, master.URL)
	bang, err := c.Bang(ctx, &masterv1.BangRequest{Target: &masterv1.BangRequest_TreeId{TreeId: "t1"}, Source: "shop deployment"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for convergence, err := range c.Follow(ctx, bang.GetResults()[0].GetConvergenceId()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(convergence.GetState(), vowclient.Blockers(convergence))
	}
	// Output:
	// CONVERGENCE_STATE_OPEN [shop (/): has not run yet]
	// CONVERGENCE_STATE_CONVERGED []
}

// A bang that the quota refuses says when it opens again.
func ExampleRefusedError() {
	master := serve()
	defer master.Close()
	c := vowclient.New(&http.Client{}, master.URL)
	_, err := c.BangAndWait(context.Background(), &masterv1.BangRequest{Target: &masterv1.BangRequest_TreeId{TreeId: "tired"}, Source: "shop deployment"})
	var refused *vowclient.RefusedError
	if errors.As(err, &refused) {
		fmt.Println("again in", time.Until(refused.OpensAt).Round(time.Minute))
	}
	// Output: again in 1h0m0s
}

// Go through all trees of the fleet, page by page.
func ExampleClient_Trees() {
	master := serve()
	defer master.Close()
	for tree, err := range vowclient.New(&http.Client{}, master.URL).Trees(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(tree.GetTitle())
	}
	// Output:
	// shop
	// site
}

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vowclient"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "cannot bang: name the tree, e.g. hello")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := bang(ctx, vowclient.New(&http.Client{}, "http://127.0.0.1:7711"), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// bang makes every partition of a tree run again and waits until all have.
func bang(ctx context.Context, c *vowclient.Client, title string) error {
	tree, err := c.TreeByTitle(ctx, title)
	if err != nil {
		return err
	}
	answer, err := c.Bang(ctx, &masterv1.BangRequest{Source: "example client", Target: &masterv1.BangRequest_TreeId{TreeId: tree.GetTreeId()}})
	if err != nil {
		return err
	}
	for convergence, err := range c.Follow(ctx, answer.GetResults()[0].GetConvergenceId()) {
		if err != nil {
			return err
		}
		waiting := len(vowclient.Blockers(convergence))
		fmt.Printf("%s: %d of %d partitions settled, trace %s\n", convergence.GetState(), len(convergence.GetMembers())-waiting, len(convergence.GetMembers()), convergence.GetTraceId())
	}
	return nil
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "cannot bang: name the tree, e.g. hello")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := bang(ctx, &http.Client{}, "http://127.0.0.1:7711", os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// bang makes every partition of a tree run again and waits until all have.
func bang(ctx context.Context, client *http.Client, master, title string) (err error) {
	tree, err := masterv1connect.NewTreeServiceClient(client, master).
		GetTree(ctx, &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Title{Title: title}})
	if err != nil {
		return err
	}
	// The request id makes it safe to send the same bang again when the answer was lost.
	answer, err := masterv1connect.NewBangServiceClient(client, master).Bang(ctx, &masterv1.BangRequest{
		RequestId: rand.Text(), Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "example client",
		Target: &masterv1.BangRequest_TreeId{TreeId: tree.GetTree().GetTreeId()},
	})
	if err != nil {
		return err
	}
	watch, err := masterv1connect.NewConvergenceServiceClient(client, master).
		WatchConvergence(ctx, &masterv1.WatchConvergenceRequest{Id: answer.GetResults()[0].GetConvergenceId()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, watch.Close()) }()
	for watch.Receive() {
		c := watch.Msg().GetConvergence()
		settled := 0
		for _, m := range c.GetMembers() {
			if m.GetSettled() {
				settled++
			}
		}
		fmt.Printf("%s: %d of %d partitions settled, trace %s\n", c.GetState(), settled, len(c.GetMembers()), c.GetTraceId())
	}
	return watch.Err()
}

package client

import (
	"context"
	"fmt"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vowclient"
)

// listPage is how much of a list one call asks for: the most that svc-master gives.
const listPage = 1000

// AllComputers reads every page.
func (f *Fleet) AllComputers(ctx context.Context) ([]*masterv1.Computer, error) {
	return all("computers", func(token string) ([]*masterv1.Computer, string, error) {
		page, err := f.Computers.ListComputers(ctx, &masterv1.ListComputersRequest{PageSize: listPage, PageToken: token})
		return page.GetComputers(), page.GetNextPageToken(), err
	})
}

// AllTrees reads every page; instances are not in them.
func (f *Fleet) AllTrees(ctx context.Context) ([]*masterv1.Tree, error) {
	return all("trees", func(token string) ([]*masterv1.Tree, string, error) {
		page, err := f.Trees.ListTrees(ctx, &masterv1.ListTreesRequest{PageSize: listPage, PageToken: token})
		return page.GetTrees(), page.GetNextPageToken(), err
	})
}

// all is what was read, also when a page could not be.
func all[T any](what string, fetch func(token string) ([]T, string, error)) ([]T, error) {
	list, err := vowclient.Collect(vowclient.Pages(fetch))
	if err != nil {
		return list, fmt.Errorf("cannot list %s: %w", what, err)
	}
	return list, nil
}

package vowclient

import (
	"context"
	"iter"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// pageSize is the most that svc-master gives at once.
const pageSize = 1000

// Trees is all trees, without their instances, page by page. An iteration ends with the first error.
func (c *Client) Trees(ctx context.Context) iter.Seq2[*masterv1.Tree, error] {
	return Pages(func(token string) ([]*masterv1.Tree, string, error) {
		page, err := do(ctx, c.master.listTrees, &masterv1.ListTreesRequest{PageSize: pageSize, PageToken: token})
		return page.GetTrees(), page.GetNextPageToken(), err
	})
}

// Computers is all computers by name, page by page. An iteration ends with the first error.
func (c *Client) Computers(ctx context.Context) iter.Seq2[*masterv1.Computer, error] {
	return Pages(func(token string) ([]*masterv1.Computer, string, error) {
		page, err := do(ctx, c.master.listComputers, &masterv1.ListComputersRequest{PageSize: pageSize, PageToken: token})
		return page.GetComputers(), page.GetNextPageToken(), err
	})
}

// Pages iterates over any list of the contract that has pages: fetch gets a page token, empty for the first page, and returns the items with the next token, empty after
// the last page. A page is asked for when the one before it has been used up.
func Pages[T any](fetch func(token string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for token := ""; ; {
			items, next, err := fetch(token)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			token = next
		}
	}
}

// Collect reads an iteration to its end, or to its first error, with what came before it.
func Collect[T any](of iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for item, err := range of {
		if err != nil {
			return all, err
		}
		all = append(all, item)
	}
	return all, nil
}

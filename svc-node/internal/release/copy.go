package release

import (
	"context"
	"fmt"
	"io/fs"
	"os"
)

// copyTree copies a directory: its directories, files with their right to be executed, and links that stay inside.
func copyTree(ctx context.Context, from *os.Root, to *tree) error {
	err := fs.WalkDir(from.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case name == completed:
			return nil
		case entry.IsDir():
			return to.Directory(name)
		case entry.Type() == fs.ModeSymlink:
			target, err := from.Readlink(name)
			if err != nil {
				return err
			}
			return to.Link(name, target)
		case entry.Type().IsRegular():
			return copyFile(ctx, from, name, to)
		}
		return fmt.Errorf("%s is neither file, directory nor link", name)
	})
	if err != nil {
		return err
	}
	return to.finish()
}

func copyFile(ctx context.Context, from *os.Root, name string, to *tree) error {
	f, err := from.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return to.File(ctx, name, info.Mode(), info.Size(), f)
}

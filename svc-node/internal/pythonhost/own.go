package pythonhost

import (
	"errors"
	"fmt"
	"os"
)

// own gives the folders of a promise's files to the partition's user. Each step stays below the partition's directory,
// whatever links its user made there.
func own(directory string, u *User) error {
	root, err := os.OpenRoot(directory)
	if err != nil {
		return fmt.Errorf("cannot make the folders of promises: %w", err)
	}
	defer func() { _ = root.Close() }()
	for _, folder := range []string{".slapgrid", ".slapgrid/promise", ".slapgrid/promise/log", ".slapgrid/promise/result"} {
		if err := root.Mkdir(folder, 0o750); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("cannot make the folders of promises: %w", err)
		}
		if err := root.Lchown(folder, u.UID, u.GID); err != nil {
			return fmt.Errorf("cannot make the folders of promises: %w", err)
		}
	}
	return nil
}

package install

import (
	"fmt"

	"github.com/vow-os/vow/svc-node/internal/recipe"
)

// NotAvailable is the error of a run that went as far as it could: something requested is not available yet. It is
// recipe.ErrNotAvailable for errors.Is.
type NotAvailable struct{ Waiting []Waiting }

// Error tells the first reason and how many more parts wait.
func (e *NotAvailable) Error() string {
	if len(e.Waiting) == 1 {
		return e.Waiting[0].Reason
	}
	return fmt.Sprintf("%s (%d parts wait)", e.Waiting[0].Reason, len(e.Waiting))
}

// Is makes errors.Is(err, recipe.ErrNotAvailable) hold.
func (e *NotAvailable) Is(target error) bool { return target == recipe.ErrNotAvailable }

package sandlock

import (
	"errors"
	"strings"
)

// refusals are several errors as one, like those of errors.Join, which Go 1.19 does not have.
type refusals []error

// join gives the errors as one, or nil if there are none.
func join(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return append(refusals(nil), errs...)
}

// Error has a line for each.
func (r refusals) Error() string {
	lines := make([]string, 0, len(r))
	for _, err := range r {
		lines = append(lines, err.Error())
	}
	return strings.Join(lines, "\n")
}

// Is asks each of them.
func (r refusals) Is(target error) bool {
	for _, err := range r {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// As takes the first that is of the kind.
func (r refusals) As(target any) bool {
	for _, err := range r {
		if errors.As(err, target) {
			return true
		}
	}
	return false
}

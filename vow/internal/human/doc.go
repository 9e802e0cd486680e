// Package human writes durations and enum values for vow's commands; it is kit/human under the name they know.
// vow's commands import it.
package human

package install

import "strings"

// MaxDiffLines bounds each side of a diff that is compared line by line; beyond, one line says so.
const MaxDiffLines = 2000

// lineDiff shows how a text changes: lines that go start with "-", lines that come with "+", and up to two
// lines around a change with a blank.
func lineDiff(before, after string) string {
	a, b := lines(before), lines(after)
	if len(a) > MaxDiffLines || len(b) > MaxDiffLines {
		return "(too long to compare)\n"
	}
	// Lengths of the longest common subsequences of the ends.
	common := make([][]int32, len(a)+1)
	for i := range common {
		common[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []string
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, " "+a[i])
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			out = append(out, "-"+a[i])
			i++
		default:
			out = append(out, "+"+b[j])
			j++
		}
	}
	return around(out, 2)
}

// around keeps the changes and n lines on each side.
func around(all []string, n int) string {
	var b strings.Builder
	for i, line := range all {
		for k := max(0, i-n); k <= min(len(all)-1, i+n); k++ {
			if all[k][0] != ' ' {
				b.WriteString(line + "\n")
				break
			}
		}
	}
	return b.String()
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

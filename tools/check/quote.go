package check

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// quoteMark stands above a block of code that is quoted: <!-- from path/of/file -->.
const quoteMark, quoteEnd = "<!-- from ", " -->"

// quotedCode wants what a page quotes to be in the file that it names, line for line but for indentation; a line "…" leaves something out.
// So what a page shows is what is compiled and run.
func quotedCode(r *Repository) (found []Finding) {
	for _, p := range r.Paths {
		if path.Ext(p) != ".md" {
			continue
		}
		page, err := fs.ReadFile(r.FS, p)
		if err != nil {
			return []Finding{{Path: p, Message: fmt.Sprintf("cannot read it: %v", err)}}
		}
		lines := strings.Split(string(page), "\n")
		for i, line := range lines {
			from, marked := strings.CutPrefix(line, quoteMark)
			if !marked {
				continue
			}
			if i+1 == len(lines) || !strings.HasPrefix(lines[i+1], "```") {
				found = append(found, Finding{p, i + 1, "no block of code follows"})
				continue
			}
			source, err := fs.ReadFile(r.FS, strings.TrimSuffix(from, quoteEnd))
			if err != nil {
				found = append(found, Finding{p, i + 1, fmt.Sprintf("cannot read what it quotes: %v", err)})
				continue
			}
			within := "\n" + undented(strings.Split(string(source), "\n"))
			for at, passage := range passages(lines[i+2:]) {
				if !strings.Contains(within, "\n"+undented(passage)) {
					found = append(found, Finding{p, i + 1, fmt.Sprintf("passage %d is not in %s", at+1, strings.TrimSuffix(from, quoteEnd))})
				}
			}
		}
	}
	return found
}

// passages are the lines up to the end of the block, parted at "…".
func passages(lines []string) (all [][]string) {
	all = append(all, nil)
	for _, line := range lines {
		switch last := len(all) - 1; {
		case line == "```":
			return all
		case strings.TrimSpace(line) == "…":
			all = append(all, nil)
		default:
			all[last] = append(all[last], line)
		}
	}
	return all
}

// undented is the text without any indentation, which a quotation may change.
func undented(lines []string) string {
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(strings.TrimSpace(line) + "\n")
	}
	return text.String()
}

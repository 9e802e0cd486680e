package profile

// Limits. A profile is written by an author, but also rendered by templates from parameters a user typed, so
// each of them can be hit by accident; the largest public profiles stay below a tenth of each.
const (
	// MaxFileBytes bounds one profile file.
	MaxFileBytes = 1 << 20
	// MaxFiles bounds the files one profile reads through extends, the same file counted each time.
	MaxFiles = 200
	// MaxExtendsDepth bounds how deep extends may nest.
	MaxExtendsDepth = 32
	// MaxSections bounds the sections of one document, after extends.
	MaxSections = 5000
	// MaxOptions bounds the options of one document, after extends.
	MaxOptions = 50000
	// MaxDepth bounds the chain of references, sections and macros followed at once. Each level costs some
	// stack frames; 200 of them are a few hundred kilobytes.
	MaxDepth = 200
	// MaxValueBytes bounds one resolved option.
	MaxValueBytes = 1 << 20
	// MaxResolvedBytes bounds all resolved options of one profile together: references can double at each
	// level, so without it forty short lines fill a machine's memory.
	MaxResolvedBytes = 16 << 20
)

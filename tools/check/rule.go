package check

// Rule is one rule of the house. Name is a short sentence that a failing test shows.
type Rule struct {
	Name  string
	Check func(*Repository) []Finding
}

// Rules returns all rules, in the order in which docs/style.md tells them.
func Rules() []Rule {
	return []Rule{
		{"every package says what it is for", packageDocs},
		{"a core is pure", pureCores},
		{"a module imports only what its place allows", moduleImports},
		{"only the edges import the RPC library", rpcImports},
		{"the supervisor links no RPC and no telemetry", supervisorImports},
		{"a service exports its core and its app", serviceShape},
		{"siblings are required by relative replace", siblingModules},
		{"names say what is inside", names},
		{"one concept per file", fileLengths},
		{"no init and no global state", globals},
		{"the README maps every folder", readmeMap},
		{"an index lists every page beside it", indexes},
		{"what a page quotes is in the file", quotedCode},
		{"telemetry names are declared once", telemetryNames},
		{"every Lua script is embedded", luaScripts},
		{"every alert has its section in the runbook, and its tests", alerts},
		{"nothing sleeps in real time", sleepers},
		{"what acts as a partition's user stays on its thread", asOthers},
		{"nothing is left for later", leftovers},
	}
}

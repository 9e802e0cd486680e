package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Parts is how many parts the profile has.
const Parts = 50

// profile is the profile: directories, 20 templates, 20 services that refer to them, 9 commands.
func profile() string {
	var parts, sections []string
	add := func(name, recipe, lines string) {
		parts = append(parts, name)
		sections = append(sections, "["+name+"]\nrecipe = "+recipe+"\n"+lines)
	}
	add("directory", "slapos.cookbook:mkdirectory", "etc = ${buildout:directory}/etc\nservice = ${:etc}/service\nvar = ${buildout:directory}/var\n")
	for i := range 20 {
		add(fmt.Sprintf("conf-%d", i), "collective.recipe.template", fmt.Sprintf(
			"input = inline:\n  port = ${:port}\n  data = ${directory:var}/%d\noutput = ${directory:etc}/%d.conf\nport = %d\n", i, i, 8000+i))
	}
	for i := range 20 {
		add(fmt.Sprintf("service-%d", i), "slapos.cookbook:wrapper", fmt.Sprintf(
			"command-line = /usr/sbin/server --conf ${conf-%d:output} --port ${conf-%d:port}\nwrapper-path = ${directory:service}/s%d\n", i, i, i))
	}
	for i := range Parts - len(parts) {
		add(fmt.Sprintf("command-%d", i), "plone.recipe.command", fmt.Sprintf("command = echo ${directory:var} > ${directory:etc}/c%d\n", i))
	}
	return "[buildout]\nparts =\n  " + strings.Join(parts, "\n  ") + "\n\n" + strings.Join(sections, "\n")
}

// equal makes sure that both did the same work: the same files with the same content, but for the directory's name and how
// a wrapper is written.
func equal(ours, peer string) error {
	mine, err := contents(ours)
	if err != nil {
		return err
	}
	theirs, err := contents(peer)
	if err != nil {
		return err
	}
	if len(mine) != len(theirs) || len(mine) != Parts-1 {
		return fmt.Errorf("cannot compare: %d files are ours, %d the peer's, of %d parts", len(mine), len(theirs), Parts)
	}
	for name, content := range mine {
		if theirs[name] != content && !strings.HasPrefix(name, "service/") {
			return fmt.Errorf("cannot compare: %s is %q, and %q of the peer", name, content, theirs[name])
		}
	}
	return nil
}

// contents reads what is in a partition's etc.
func contents(dir string) (map[string]string, error) {
	all := map[string]string{}
	etc := filepath.Join(dir, "etc")
	err := filepath.WalkDir(etc, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(etc, path)
		all[name] = strings.TrimSpace(strings.ReplaceAll(string(content), dir, "DIRECTORY"))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read what was deployed: %w", err)
	}
	return all, nil
}

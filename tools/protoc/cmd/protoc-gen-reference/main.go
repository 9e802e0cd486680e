// Command protoc-gen-reference writes docs/api from the comments of the contract: a page for each proto file, and an index of all calls. It is a plugin of
// protoc, run by buf with strategy "all", since the index needs every file.
package main

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"
)

// heading opens every page.
const heading = "<!-- Generated from the comments of proto/ by make generate (tools/protoc/cmd/protoc-gen-reference). Do not edit. -->\n\n"

func main() {
	protogen.Options{}.Run(func(plugin *protogen.Plugin) error {
		plugin.SupportedFeatures = uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL)
		var files []*protogen.File
		for _, f := range plugin.Files {
			if f.Generate && described(f.Desc) {
				files = append(files, f)
			}
		}
		slices.SortFunc(files, func(a, b *protogen.File) int { return cmp.Compare(a.Desc.Path(), b.Desc.Path()) })
		index(plugin, files)
		for _, f := range files {
			p := &page{GeneratedFile: plugin.NewGeneratedFile(pathOf(f.Desc), ""), of: f.Desc}
			p.write(f)
		}
		return nil
	})
}

// described leaves out records in Redis, which no caller sees, and what is not ours.
func described(f protoreflect.FileDescriptor) bool {
	return strings.HasPrefix(f.Path(), "vow/") && !strings.HasPrefix(f.Path(), "vow/store/")
}

// pathOf is the page of a proto file: vow/master/v1/bang.proto is master/bang.md.
func pathOf(f protoreflect.FileDescriptor) string {
	service := strings.Split(f.Path(), "/")[1]
	return service + "/" + strings.TrimSuffix(path.Base(f.Path()), ".proto") + ".md"
}

// index lists every call with its first sentence.
func index(plugin *protogen.Plugin, files []*protogen.File) {
	g := plugin.NewGeneratedFile("README.md", "")
	out := func(format string, args ...any) { fmt.Fprintf(g, format, args...) }
	out("%s# API\n\n", heading)
	out("Every service speaks Connect, gRPC and gRPC-Web on one port: `POST /<service>/<call>` with JSON or protobuf. How to call them from Go, TypeScript and a shell: [clients.md](../clients.md).\n")
	for _, f := range files {
		for _, s := range f.Services {
			out("\n## [%s](%s#%s)\n\n`%s`: %s\n\n| call | request → answer | |\n|---|---|---|\n", s.Desc.Name(), pathOf(f.Desc), anchor(s.Desc), s.Desc.FullName(), cell(s.Comments.Leading))
			for _, m := range s.Methods {
				out("| [%s](%s#%s) | %s → %s | %s |\n", m.Desc.Name(), pathOf(f.Desc), anchor(m.Desc),
					streamed(m.Desc.IsStreamingClient(), m.Desc.Input().Name()), streamed(m.Desc.IsStreamingServer(), m.Desc.Output().Name()), firstSentence(m.Comments.Leading))
			}
		}
	}
	out("\n## Messages of all services\n\n")
	for _, f := range files {
		if len(f.Services) == 0 {
			out("- [%s](%s)\n", f.Desc.Path(), pathOf(f.Desc))
		}
	}
}

// page is the page of one proto file.
type page struct {
	*protogen.GeneratedFile
	of protoreflect.FileDescriptor
}

func (p *page) out(format string, args ...any) { fmt.Fprintf(p, format, args...) }

func (p *page) write(f *protogen.File) {
	p.out("%s# %s\n\n", heading, f.Desc.Path())
	if text := cell(f.Desc.SourceLocations().ByDescriptor(f.Desc).LeadingComments); text != "" {
		p.out("%s\n\n", text)
	}
	p.out("Package `%s`. [All calls](../README.md).\n", f.Desc.Package())
	for _, s := range f.Services {
		p.out("\n## %s\n\n%s\n", s.Desc.Name(), cell(s.Comments.Leading))
		for _, m := range s.Methods {
			p.out("\n### %s.%s\n\n`POST /%s/%s`: %s → %s\n\n%s\n", s.Desc.Name(), m.Desc.Name(), s.Desc.FullName(), m.Desc.Name(),
				streamed(m.Desc.IsStreamingClient(), p.link(m.Desc.Input())), streamed(m.Desc.IsStreamingServer(), p.link(m.Desc.Output())), cell(m.Comments.Leading))
		}
	}
	if len(f.Messages) > 0 {
		p.out("\n## Messages\n")
	}
	for _, m := range f.Messages {
		p.message(m)
	}
	if len(f.Enums) > 0 {
		p.out("\n## Enums\n")
	}
	for _, e := range f.Enums {
		p.enum(e)
	}
}

func (p *page) message(m *protogen.Message) {
	if m.Desc.IsMapEntry() {
		return
	}
	p.out("\n### %s\n\n%s\n", dotted(m.Desc), cell(m.Comments.Leading))
	if len(m.Fields) > 0 {
		p.out("\n| field | type | |\n|---|---|---|\n")
	}
	for _, f := range m.Fields {
		text := cell(f.Comments.Leading)
		if f.Oneof != nil && !f.Oneof.Desc.IsSynthetic() {
			text = fmt.Sprintf("*One of `%s`.* %s", f.Oneof.Desc.Name(), text)
		}
		p.out("| `%s` = %d | %s | %s |\n", f.Desc.Name(), f.Desc.Number(), p.typeOf(f.Desc), text)
	}
	for _, nested := range m.Messages {
		p.message(nested)
	}
	for _, nested := range m.Enums {
		p.enum(nested)
	}
}

func (p *page) enum(e *protogen.Enum) {
	p.out("\n### %s\n\n%s\n\n| value | |\n|---|---|\n", dotted(e.Desc), cell(e.Comments.Leading))
	for _, v := range e.Values {
		p.out("| `%s` = %d | %s |\n", v.Desc.Name(), v.Desc.Number(), cell(v.Comments.Leading))
	}
}

// typeOf spells the type of a field, with links.
func (p *page) typeOf(f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsMap():
		return fmt.Sprintf("map of %s to %s", p.typeOf(f.MapKey()), p.typeOf(f.MapValue()))
	case f.IsList():
		return "repeated " + p.single(f)
	case f.HasOptionalKeyword():
		return "optional " + p.single(f)
	}
	return p.single(f)
}

func (p *page) single(f protoreflect.FieldDescriptor) string {
	switch {
	case f.Message() != nil:
		return p.link(f.Message())
	case f.Enum() != nil:
		return p.link(f.Enum())
	}
	return f.Kind().String()
}

// link points to where a message or an enum is described.
func (p *page) link(d protoreflect.Descriptor) string {
	file := d.ParentFile()
	switch {
	case file.Path() == p.of.Path():
		return fmt.Sprintf("[%s](#%s)", dotted(d), anchor(d))
	case described(file):
		to := pathOf(file)
		if path.Dir(to) == path.Dir(pathOf(p.of)) {
			to = path.Base(to)
		} else {
			to = "../" + to
		}
		return fmt.Sprintf("[%s](%s#%s)", dotted(d), to, anchor(d))
	}
	return "`" + string(d.FullName()) + "`"
}

// dotted is the name within the package.
func dotted(d protoreflect.Descriptor) string {
	return strings.TrimPrefix(string(d.FullName()), string(d.ParentFile().Package())+".")
}

// anchor is the fragment that GitHub makes of a heading.
func anchor(d protoreflect.Descriptor) string {
	return strings.ToLower(strings.ReplaceAll(dotted(d), ".", ""))
}

func streamed[T ~string](is bool, name T) string {
	if is {
		return "stream of " + string(name)
	}
	return string(name)
}

// cell makes one line of a comment, which may stand in a table. What looks like an HTML tag is text.
func cell[C ~string](comment C) string {
	text := strings.Join(strings.Fields(string(comment)), " ")
	return strings.NewReplacer("|", `\|`).Replace(tag.ReplaceAllString(text, `\<$1`))
}

// tag is a < that Markdown takes for HTML; within backquotes it would be text anyway, and a page of ours has those only around names.
var tag = regexp.MustCompile("<([A-Za-z/])")

// firstSentence is as much of a comment as an index needs.
func firstSentence[C ~string](comment C) string {
	text := cell(comment)
	if end := sentence.FindStringIndex(text); end != nil {
		return text[:end[0]+1]
	}
	return text
}

// sentence is the end of one: not the dot of "e.g." or of a number.
var sentence = regexp.MustCompile(`\. [A-Z]`)

package jinja

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// textNames are the engine's methods of text that are kept as they are, but for a bound on widths.
var textNames = []string{
	"capitalize", "casefold", "center", "count", "encode", "endswith", "expandtabs", "find", "format", "format_map", "isalnum", "isalpha",
	"isascii", "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "ljust", "lower", "lstrip",
	"partition", "removeprefix", "removesuffix", "replace", "rfind", "rjust", "rpartition", "rstrip", "splitlines", "startswith", "strip",
	"swapcase", "title", "upper", "zfill",
}

// textMethods are the methods of text.
func textMethods() map[string]exec.Method[string] {
	all := map[string]exec.Method[string]{}
	for _, name := range textNames {
		method, ok := builtins.Methods.Str.Get(name)
		if !ok {
			continue
		}
		all[name] = func(self string, v *exec.Value, p *exec.VarArgs) (any, error) {
			if err := checkWidths(v, p); err != nil {
				return nil, err
			}
			return method(self, v, p)
		}
	}
	all["join"] = func(self string, _ *exec.Value, p *exec.VarArgs) (any, error) {
		if len(p.Args) != 1 {
			return nil, errors.New("join takes a list")
		}
		var texts []string
		for _, element := range elements(p.Args[0]) {
			texts = append(texts, exec.AsValue(element).String())
		}
		return strings.Join(texts, self), nil
	}
	all["split"] = split(strings.SplitN, strings.Fields)
	all["rsplit"] = split(splitRight, strings.Fields)
	return all
}

// split is Python's: at a text, at most so many times; or at blanks.
func split(at func(text, separator string, parts int) []string, blanks func(string) []string) exec.Method[string] {
	return func(self string, _ *exec.Value, p *exec.VarArgs) (any, error) {
		arguments := p.Args
		if v, ok := p.KwArgs["maxsplit"]; ok && len(arguments) == 1 {
			arguments = append(arguments[:1:1], v)
		}
		parts := -1
		if len(arguments) > 2 {
			return nil, errors.New("split takes a text and a number")
		}
		if len(arguments) == 2 && arguments[1].Integer() >= 0 {
			parts = arguments[1].Integer() + 1
		}
		var texts []string
		switch {
		case len(arguments) == 0 || arguments[0].IsNil():
			if parts >= 0 {
				return nil, errors.New("cannot split at blanks a limited number of times")
			}
			texts = blanks(self)
		case !arguments[0].IsString() || arguments[0].String() == "":
			return nil, fmt.Errorf("cannot split at %s", arguments[0].String())
		default:
			texts = at(self, arguments[0].String(), parts)
		}
		list := make([]any, len(texts))
		for i := range texts {
			list[i] = texts[i]
		}
		return list, nil
	}
}

// splitRight splits from the end.
func splitRight(text, separator string, parts int) []string {
	all := strings.Split(text, separator)
	if parts < 0 || len(all) <= parts {
		return all
	}
	head := strings.Join(all[:len(all)-parts+1], separator)
	return append([]string{head}, all[len(all)-parts+1:]...)
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// A secret in the configuration file is written as it is, or, so that it need not
// stand there, as a reference: ${NAME} is a variable of the environment,
// ${file:PATH} the first line of a file. References are looked up by each run; the
// job keeps them, and not what they stand for.
var reference = regexp.MustCompile(`\$\{([^}]*)\}`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// maxSecret bounds the line of a file that a reference names.
const maxSecret = 64 << 10

// resolver returns what a secret stands for.
type resolver func(text string) (string, error)

// references looks references up.
func references(env []string) resolver {
	return func(text string) (string, error) {
		var failed error
		value := reference.ReplaceAllStringFunc(text, func(ref string) string {
			v, err := dereference(ref[2:len(ref)-1], env)
			if err != nil && failed == nil {
				failed = fmt.Errorf("%s: %w", ref, err)
			}
			return v
		})
		return value, failed
	}
}

func dereference(name string, env []string) (string, error) {
	if path, ok := strings.CutPrefix(name, "file:"); ok {
		return firstLine(path)
	}
	if !variableName.MatchString(name) {
		return "", errors.New("write ${NAME} for a variable of the environment, or ${file:PATH}")
	}
	for _, e := range env {
		if strings.HasPrefix(e, name+"=") {
			return lookup(env, name), nil
		}
	}
	return "", errors.New("there is no such variable in the environment")
}

func firstLine(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if len(line) > maxSecret {
		return "", fmt.Errorf("its first line is longer than %d bytes", maxSecret)
	}
	return strings.TrimSuffix(line, "\r"), nil
}

// unresolved stands in for what references stand for while a file is checked.
func unresolved(text string) (string, error) { return reference.ReplaceAllString(text, "x"), nil }

// redactedSecret is a secret as it may be shown: a reference tells none.
func redactedSecret(text string) string {
	if reference.FindString(text) == text && text != "" {
		return text
	}
	return redaction
}

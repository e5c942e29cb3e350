package main

import (
	"strings"
	"testing"
)

func TestReferences(t *testing.T) {
	path := write(t, "secret", "of a file \r\nand more\n")
	env := []string{"A=1", "EMPTY=", "A=2"}
	for text, want := range map[string]string{
		"":                     "",
		"plain $A {A} $":       "plain $A {A} $",
		"${A}":                 "2",
		"<${A}${A}>":           "<22>",
		"${EMPTY}":             "",
		"${file:" + path + "}": "of a file ",
	} {
		if got, err := references(env)(text); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	long := write(t, "long", strings.Repeat("x", maxSecret+1))
	for _, text := range []string{"${B}", "${}", "${A B}", "${A}${B}", "${file:/nowhere/at/all}", "${file:" + long + "}"} {
		if got, err := references(env)(text); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestRedactedSecretsOfSites(t *testing.T) {
	shown := redactedSites(`
- host: a.org
  header: {X-Key: hunter2, X-Test: shown}
  auth: {basic: {user: alice, password: hunter2}}
- host: b.org
  auth: {bearer: '${TOKEN}'}
- host: c.org
  auth: {bearer: 'x${TOKEN}hunter2'}
  login: {url: 'https://c.org/login', fields: {user: hunter2, password: [hunter2]}}
`)
	if strings.Contains(shown, "hunter2") || !strings.Contains(shown, "shown") || !strings.Contains(shown, "${TOKEN}") || !strings.Contains(shown, "alice") {
		t.Error(shown)
	}
}

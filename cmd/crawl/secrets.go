package main

import (
	"maps"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/orbweaver/orbweaver/crawler"
)

// A job keeps its settings, credentials among them, in a database that its owner
// alone can read. What is shown of them, here and there, is redacted.

// redaction stands for what is not shown.
const redaction = "[redacted]"

// redactedHeader is "Name: value" without a value that may be a credential. Text
// without a name loses all but its first word, as it may be one, too.
func redactedHeader(field string) string {
	name, _, found := strings.Cut(field, ":")
	if first, _, more := strings.Cut(strings.TrimSpace(name), " "); more || !found && first == "" {
		return first + " " + redaction
	}
	if !found {
		return field
	}
	if crawler.SecretField(name) {
		return name + ": " + redaction
	}
	return field
}

// redactedProxy is a proxy's URL without user and password.
func redactedProxy(u string) string {
	at := strings.LastIndexByte(u, '@')
	if at < 0 {
		return u
	}
	if scheme, _, found := strings.Cut(u, "://"); found && proxySchemes[scheme] {
		return scheme + "://" + redaction + u[at:]
	}
	return redaction + u[at:]
}

// redactedSites is the text of the section "sites" with its header fields as
// redactedHeader shows them, and without passwords and tokens.
func redactedSites(section string) string {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(section), &doc); err != nil {
		return redaction
	}
	redactTree(&doc)
	text, err := yaml.Marshal(&doc)
	if err != nil {
		return redaction
	}
	return string(text)
}

// redactTree redacts what stands below the keys of a tree that hold secrets.
func redactTree(node *yaml.Node) {
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 1 {
			switch node.Content[i-1].Value {
			case "header":
				redactFields(child)
				continue
			case "password", "bearer", "fields", "extra":
				redactScalars(child)
				continue
			}
		}
		redactTree(child)
	}
}

// redactScalars redacts all values of a tree.
func redactScalars(node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		*node = yaml.Node{Kind: yaml.ScalarNode, Value: redactedSecret(node.Value), Style: yaml.DoubleQuotedStyle}
		return
	}
	for i, child := range node.Content {
		if node.Kind != yaml.MappingNode || i%2 == 1 {
			redactScalars(child)
		}
	}
}

func redactFields(header *yaml.Node) {
	for i := 0; i+1 < len(header.Content); i += 2 {
		name, value := header.Content[i].Value, header.Content[i+1]
		if shown := redactedHeader(name + ": "); shown != name+": " {
			*value = yaml.Node{Kind: yaml.ScalarNode, Value: redaction, Style: yaml.DoubleQuotedStyle}
		}
	}
}

// redacted returns the settings as they may be shown.
func (kept keptSettings) redacted() keptSettings {
	shown := maps.Clone(kept)
	delete(shown, unreadSeeds)
	for name, redact := range map[string]func(string) string{
		"header": redactedHeader, "proxy": redactedProxy, "sites": redactedSites,
	} {
		if values, ok := kept[name]; ok {
			shown[name] = make([]string, len(values))
			for i, v := range values {
				shown[name][i] = redact(v)
			}
		}
	}
	return shown
}

// unreadSeeds is the key in the kept settings under which a run notes where its
// seeds come from until it has read them all: the name of a file, "-", or "" for
// none, and then the URLs of the command line.
const unreadSeeds = "unread-seeds"

package links

import (
	"bytes"
	"strings"
)

// Robots is a set of what a page asks of robots in its meta elements or its response in X-Robots-Tag.
type Robots uint16

const (
	NoIndex      Robots = 1 << iota // not to be shown in search results
	NoFollow                        // its links are not to be followed
	NoArchive                       // no copy of it is to be shown
	NoSnippet                       // no excerpt of it is to be shown
	NoImageIndex                    // its images are not to be shown
	NoTranslate                     // no translation is to be offered
	NoAI                            // not for training: noai, noimageai
)

var robotsNames = [...]string{"noindex", "nofollow", "noarchive", "nosnippet", "noimageindex", "notranslate", "noai"}

// String returns the names joined by "|"; "none" names the empty set.
func (r Robots) String() string { return bitNames(uint64(r), robotsNames[:]) }

// ParseRobots reads the content of a meta element that speaks to robots. Words that ask for nothing, such as all,
// index and follow, take nothing back: of opposite wishes the stricter counts.
func ParseRobots(content []byte) (r Robots) {
	for len(content) > 0 {
		var part []byte
		part, content, _ = bytes.Cut(content, []byte(","))
		for {
			var word []byte
			if word, part = cutSpace(part); len(word) == 0 {
				break
			}
			r |= robotsWord(word)
		}
	}
	return r
}

func robotsWord(word []byte) Robots {
	if len(word) > len("noimageindex") {
		return 0
	}
	switch string(bytes.ToLower(word)) {
	case "noindex":
		return NoIndex
	case "nofollow":
		return NoFollow
	case "none":
		return NoIndex | NoFollow
	case "noarchive", "nocache":
		return NoArchive
	case "nosnippet":
		return NoSnippet
	case "noimageindex":
		return NoImageIndex
	case "notranslate":
		return NoTranslate
	case "noai", "noimageai":
		return NoAI
	}
	return 0
}

// ParseRobotsTag reads the value of an X-Robots-Tag field. Words behind another robot's name ("otherbot: noindex")
// do not count; agent is the own name, such as "orbweaver", and may be empty.
func ParseRobotsTag(value, agent string) (r Robots) {
	ours := true
	for value != "" {
		var part string
		part, value, _ = strings.Cut(value, ",")
		name, words, named := strings.Cut(part, ":")
		if name = strings.TrimSpace(name); named && isRobot(name) {
			ours = agent != "" && strings.EqualFold(name, agent)
			part = words
		}
		if ours {
			r |= ParseRobots([]byte(part))
		}
	}
	return r
}

// isRobot reports whether the word before a colon names a robot; else it belongs to a rule with a value, or to a
// date.
func isRobot(name string) bool {
	for _, rule := range []string{"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"} {
		if strings.EqualFold(name, rule) {
			return false
		}
	}
	return !strings.Contains(name, " ")
}

package links

// Rel is a set of link relations, as the rel attribute of an element or the rel parameter of a Link field states
// them.
type Rel uint32

const (
	RelNoFollow Rel = 1 << iota
	RelUGC
	RelSponsored
	RelNoOpener
	RelNoReferrer
	RelExternal
	RelCanonical
	RelAlternate
	RelNext
	RelPrev // and "previous"
	RelStylesheet
	RelIcon // also apple-touch-icon and mask-icon
	RelManifest
	RelPreload // also modulepreload
	RelPrefetch
	RelPrerender
	RelPreconnect
	RelDNSPrefetch
	RelAMP // amphtml
	RelShortlink
	RelAuthor
	RelLicense
	RelSearch
	RelHelp
	RelTag
	RelMe
	RelBookmark
	RelOther // any relation without a bit of its own
)

var relNames = [...]string{
	"nofollow", "ugc", "sponsored", "noopener", "noreferrer", "external", "canonical", "alternate", "next", "prev", "stylesheet", "icon",
	"manifest", "preload", "prefetch", "prerender", "preconnect", "dns-prefetch", "amphtml", "shortlink", "author", "license",
	"search", "help", "tag", "me", "bookmark", "other",
}

// String returns the relations' names joined by "|", and "none" for none.
func (r Rel) String() string { return bitNames(uint64(r), relNames[:]) }

// ParseRel reads the tokens of a rel attribute.
func ParseRel(value []byte) (rel Rel) {
	for {
		var word []byte
		if word, value = cutSpace(value); len(word) == 0 {
			return rel
		}
		rel |= relation(word)
	}
}

// longestRel is the length of the longest relation known, apple-touch-icon-precomposed.
const longestRel = 28

func relation(word []byte) Rel {
	if len(word) > longestRel {
		return RelOther
	}
	var buf [longestRel]byte
	for i, c := range word {
		buf[i] = lower[c]
	}
	switch string(buf[:len(word)]) {
	case "nofollow":
		return RelNoFollow
	case "ugc":
		return RelUGC
	case "sponsored":
		return RelSponsored
	case "noopener":
		return RelNoOpener
	case "noreferrer":
		return RelNoReferrer
	case "external":
		return RelExternal
	case "canonical":
		return RelCanonical
	case "alternate":
		return RelAlternate
	case "next":
		return RelNext
	case "prev", "previous":
		return RelPrev
	case "stylesheet":
		return RelStylesheet
	case "icon", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon":
		return RelIcon
	case "manifest":
		return RelManifest
	case "preload", "modulepreload":
		return RelPreload
	case "prefetch":
		return RelPrefetch
	case "prerender":
		return RelPrerender
	case "preconnect":
		return RelPreconnect
	case "dns-prefetch":
		return RelDNSPrefetch
	case "amphtml":
		return RelAMP
	case "shortlink":
		return RelShortlink
	case "author":
		return RelAuthor
	case "license", "copyright":
		return RelLicense
	case "search":
		return RelSearch
	case "help":
		return RelHelp
	case "tag":
		return RelTag
	case "me":
		return RelMe
	case "bookmark":
		return RelBookmark
	}
	return RelOther
}

// kind returns the kind of a link element or Link field with these relations. Of several the first in this order
// counts.
func (r Rel) kind() Kind {
	switch {
	case r&RelStylesheet != 0:
		return Stylesheet
	case r&RelCanonical != 0:
		return Canonical
	case r&RelNext != 0:
		return Next
	case r&RelPrev != 0:
		return Prev
	case r&(RelAlternate|RelAMP) != 0:
		return Alternate
	case r&RelIcon != 0:
		return Icon
	case r&RelManifest != 0:
		return Manifest
	case r&(RelPreload|RelPrefetch|RelPrerender) != 0:
		return Preload
	case r&(RelPreconnect|RelDNSPrefetch) != 0:
		return Connect
	}
	return Reference
}

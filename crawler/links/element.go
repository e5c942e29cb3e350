package links

// An element is the name of an element that matters here; all others are zero.
type element uint8

const (
	elemA element = iota + 1
	elemAnnotationXML
	elemArea
	elemAudio
	elemBase
	elemBgsound
	elemBlockquote
	elemBody
	elemButton
	elemDel
	elemDesc
	elemEmbed
	elemFeImage
	elemForeignObject
	elemForm
	elemFrame
	elemHTML
	elemIframe
	elemImage
	elemImg
	elemInput
	elemIns
	elemLink
	elemMath
	elemMeta
	elemMI
	elemMN
	elemMO
	elemMS
	elemMText
	elemNoembed
	elemNoframes
	elemObject
	elemPlaintext
	elemQ
	elemScript
	elemSource
	elemStyle
	elemSVG
	elemTable
	elemTbody
	elemTD
	elemTemplate
	elemTextarea
	elemTfoot
	elemTH
	elemThead
	elemTitle
	elemTR
	elemTrack
	elemUse
	elemVideo
	elemXMP
	elemCount
)

var elementNames = [elemCount]string{
	elemA: "a", elemAnnotationXML: "annotation-xml", elemArea: "area", elemAudio: "audio", elemBase: "base",
	elemBgsound: "bgsound", elemBlockquote: "blockquote", elemBody: "body", elemButton: "button", elemDel: "del",
	elemDesc: "desc", elemEmbed: "embed", elemFeImage: "feimage", elemForeignObject: "foreignobject", elemForm: "form",
	elemFrame: "frame", elemHTML: "html", elemIframe: "iframe", elemImage: "image", elemImg: "img", elemInput: "input",
	elemIns: "ins", elemLink: "link", elemMath: "math", elemMeta: "meta", elemMI: "mi", elemMN: "mn", elemMO: "mo",
	elemMS: "ms", elemMText: "mtext", elemNoembed: "noembed", elemNoframes: "noframes", elemObject: "object",
	elemPlaintext: "plaintext", elemQ: "q", elemScript: "script", elemSource: "source", elemStyle: "style", elemSVG: "svg",
	elemTable: "table", elemTbody: "tbody", elemTD: "td", elemTemplate: "template", elemTextarea: "textarea",
	elemTfoot: "tfoot", elemTH: "th", elemThead: "thead", elemTitle: "title", elemTR: "tr", elemTrack: "track",
	elemUse: "use", elemVideo: "video", elemXMP: "xmp",
}

// elementKinds are the kinds of link that an element may state. The attributes of an element are not looked at
// when none of its kinds is asked for.
var elementKinds = [elemCount]Kind{
	elemA: Anchor | Ping, elemArea: Anchor | Ping, elemAudio: Media, elemBgsound: Media, elemBlockquote: Reference, elemBody: Image,
	elemButton: Form, elemDel: Reference, elemEmbed: Object, elemFeImage: Image, elemForm: Form, elemFrame: Frame | Reference,
	elemHTML: Manifest, elemIframe: All, elemImage: Image | Reference, elemImg: Image | Reference, elemInput: Image | Form,
	elemIns: Reference, elemLink: All, elemMeta: All, elemObject: Object, elemQ: Reference, elemScript: Script,
	elemSource: Media | Image, elemTable: Image, elemTbody: Image, elemTD: Image, elemTfoot: Image, elemTH: Image, elemThead: Image,
	elemTR: Image, elemTrack: Media, elemUse: Image, elemVideo: Media | Image,
}

// An elementSet is a set of elements, a bit each.
type elementSet uint64

func (s elementSet) has(e element) bool { return s>>e&1 != 0 }

// idle returns the elements that make no difference to what is found when kinds are looked for.
func idle(kinds Kind) (set elementSet) {
	for e := range elemCount {
		switch e {
		case elemBase, elemMeta, elemTemplate, elemSVG, elemMath,
			elemTitle, elemStyle, elemScript, elemIframe, elemNoembed, elemNoframes, elemTextarea, elemXMP, elemPlaintext:
		default:
			if kinds&elementKinds[e] == 0 {
				set |= 1 << e
			}
		}
	}
	return set
}

var elements = newDictionary(elementNames[:])

func elementOf(name []byte) element { return element(elements.find(name)) }

// An attribute is the name of an attribute that matters; all others are zero.
type attribute uint8

const (
	attrAcceptCharset attribute = iota + 1
	attrAction
	attrAs
	attrBackground
	attrCite
	attrColor
	attrContent
	attrData
	attrEncoding
	attrFace
	attrFormaction
	attrFormmethod
	attrHref
	attrHTTPEquiv
	attrImagesrcset
	attrLongdesc
	attrManifest
	attrMethod
	attrName
	attrPing
	attrPoster
	attrRel
	attrShadowrootmode
	attrSize
	attrSrc
	attrSrcdoc
	attrSrcset
	attrStyle
	attrType
	attrXlinkHref
	attrCount
)

var attributeNames = [attrCount]string{
	attrAcceptCharset: "accept-charset", attrAction: "action", attrAs: "as", attrBackground: "background", attrCite: "cite", attrColor: "color", attrContent: "content",
	attrData: "data", attrEncoding: "encoding", attrFace: "face", attrFormaction: "formaction", attrFormmethod: "formmethod",
	attrHref: "href", attrHTTPEquiv: "http-equiv", attrImagesrcset: "imagesrcset", attrLongdesc: "longdesc", attrManifest: "manifest",
	attrMethod: "method", attrName: "name", attrPing: "ping", attrPoster: "poster", attrRel: "rel", attrShadowrootmode: "shadowrootmode",
	attrSize: "size", attrSrc: "src", attrSrcdoc: "srcdoc", attrSrcset: "srcset", attrStyle: "style", attrType: "type",
	attrXlinkHref: "xlink:href",
}

var attributes = newDictionary(attributeNames[:])

func attributeOf(name []byte) attribute { return attribute(attributes.find(name)) }

// longestName is the length of the longest name in a dictionary.
const longestName = 14

// A dictionary finds the position of a name among those that matter. Most names do not, and are recognised by
// their first letter and their length.
type dictionary struct {
	names []string
	first [26][longestName + 1]uint8 // the first name with this first letter and length; 0 is none
	next  []uint8                    // the next such name
}

// newDictionary returns a dictionary of names in lower case, of which the first is not used.
func newDictionary(names []string) *dictionary {
	d := &dictionary{names: names, next: make([]uint8, len(names))}
	for i := len(names) - 1; i > 0; i-- {
		first := &d.first[names[i][0]-'a'][len(names[i])]
		d.next[i], *first = *first, uint8(i)
	}
	return d
}

// find returns the position of name, whatever its case, and 0 for any other.
func (d *dictionary) find(name []byte) uint8 {
	if len(name) > longestName {
		return 0
	}
	letter := (name[0] | 0x20) - 'a'
	if letter >= 26 {
		return 0
	}
	i := d.first[letter][len(name)]
	for i != 0 && !equalFold(name, d.names[i]) {
		i = d.next[i]
	}
	return i
}

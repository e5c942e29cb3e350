package httpclient

import "strings"

// ParseContentType reads the value of Content-Type leniently: the media type in
// lower case, application/octet-stream if there is none, and the charset in lower
// case, "" if there is none.
func ParseContentType(v string) (mediaType, charset string) {
	mediaType, rest, _ := strings.Cut(v, ";")
	if i := strings.IndexByte(mediaType, ','); i >= 0 { // two fields joined
		mediaType = mediaType[:i]
	}
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	if mediaType == "" {
		mediaType = "application/octet-stream"
	}
	for rest != "" && charset == "" {
		var p param
		p, rest = nextParam(rest)
		if strings.EqualFold(p.name, "charset") {
			charset = strings.ToLower(strings.Trim(p.value, " \t'\""))
			if i := strings.IndexAny(charset, ", "); i >= 0 {
				charset = charset[:i]
			}
		}
	}
	return mediaType, charset
}

// param is one of the parameters after a field's value.
type param struct{ name, value string }

// nextParam reads name=value, where value may be a quoted string, up to the next
// semicolon.
func nextParam(s string) (p param, rest string) {
	s = strings.TrimLeft(s, " \t;")
	end := strings.IndexAny(s, "=;")
	if end < 0 || s[end] == ';' {
		if end < 0 {
			end = len(s)
		}
		return param{name: strings.TrimSpace(s[:end])}, s[end:]
	}
	p.name = strings.TrimSpace(s[:end])
	s = strings.TrimLeft(s[end+1:], " \t")
	if strings.HasPrefix(s, `"`) {
		p.value, s = unquote(s)
		if i := strings.IndexByte(s, ';'); i >= 0 {
			return p, s[i+1:]
		}
		return p, ""
	}
	p.value, rest, _ = strings.Cut(s, ";")
	p.value = strings.TrimSpace(p.value)
	return p, rest
}

// unquote reads a quoted string, RFC 9110 section 5.6.4, whose end may be missing.
func unquote(s string) (value, rest string) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:]
		case '\\':
			if i+1 < len(s) {
				i++
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}

// ContentDisposition returns the type and the parameters of Content-Disposition,
// names in lower case; a filename* is decoded into filename.
func (r *Response) ContentDisposition() (kind string, params map[string]string) {
	kind, rest, _ := strings.Cut(r.HeaderValue("Content-Disposition"), ";")
	params = map[string]string{}
	for rest != "" {
		var p param
		if p, rest = nextParam(rest); p.name == "" {
			continue
		}
		name := strings.ToLower(p.name)
		if plain, extended := strings.CutSuffix(name, "*"); extended {
			if v, ok := decodeExtended(p.value); ok {
				params[plain] = v
			}
		} else if _, taken := params[name]; !taken {
			params[name] = p.value
		}
	}
	return strings.ToLower(strings.TrimSpace(kind)), params
}

// decodeExtended reads charset'language'value, RFC 8187.
func decodeExtended(s string) (string, bool) {
	cs, rest, ok := strings.Cut(s, "'")
	if !ok {
		return "", false
	}
	_, encoded, ok := strings.Cut(rest, "'")
	if !ok {
		return "", false
	}
	v := unescapeOr(encoded)
	switch {
	case strings.EqualFold(cs, "utf-8"):
		return strings.ToValidUTF8(v, "\uFFFD"), true
	case strings.EqualFold(cs, "iso-8859-1"):
		return fromLatin1([]byte(v)), true
	}
	return "", false
}

// Link is a link of a Link field, RFC 8288.
type Link struct {
	URL    string            // as written; resolve it against the response's URL
	Rel    string            // relation types in lower case, separated by blanks
	Params map[string]string // the others, names in lower case; the first of each
}

// Links returns the links of the response's Link fields, at most 1,000.
func (r *Response) Links() []Link {
	var list []Link
	for _, v := range r.HeaderValues("Link") {
		list = append(list, ParseLinks(v)...)
	}
	return list[:min(len(list), maxLinks)]
}

const maxLinks = 1000

// ParseLinks reads the value of a Link field. What is not a link is skipped.
func ParseLinks(v string) []Link {
	var list []Link
	for len(list) < maxLinks {
		open := strings.IndexByte(v, '<')
		if open < 0 {
			return list
		}
		end := strings.IndexByte(v[open:], '>')
		if end < 0 {
			return list
		}
		l := Link{URL: strings.TrimSpace(v[open+1 : open+end])}
		var params string
		params, v = cutParams(v[open+end+1:])
		for params != "" {
			var p param
			if p, params = nextParam(params); p.name != "" {
				l.add(strings.ToLower(p.name), p.value)
			}
		}
		list = append(list, l)
	}
	return list
}

func (l *Link) add(name, value string) {
	if name == "rel" {
		if l.Rel == "" {
			l.Rel = strings.ToLower(strings.Join(strings.Fields(value), " "))
		}
		return
	}
	if _, taken := l.Params[name]; taken {
		return
	}
	if l.Params == nil {
		l.Params = map[string]string{}
	}
	l.Params[name] = value
}

// cutParams splits s at the first comma that is not within a quoted string.
func cutParams(s string) (params, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

package links

import (
	"bytes"
	"time"
)

// maxRefresh is the longest delay that ParseRefresh reports; it takes a longer one for this.
const maxRefresh = 365 * 24 * time.Hour

// ParseRefresh reads the content of a meta element with http-equiv=refresh, or a Refresh field: `5;
// url='next.html'` and the many other forms that the standard's shared declarative refresh steps (section 4.2.5.3)
// take. A nil url means that the page is to be loaded again. Its ok is false for what browsers ignore.
func ParseRefresh(value []byte) (delay time.Duration, url []byte, ok bool) {
	value = skipSpace(value)
	digits := 0
	for digits < len(value) && isDigit(value[digits]) {
		if delay = delay*10 + time.Duration(value[digits]-'0')*time.Second; delay > maxRefresh {
			delay = maxRefresh
		}
		digits++
	}
	if digits == 0 && (len(value) == 0 || value[0] != '.') {
		return 0, nil, false
	}
	value = value[digits:]
	for len(value) > 0 && (isDigit(value[0]) || value[0] == '.') {
		value = value[1:]
	}
	if len(value) > 0 && value[0] != ';' && value[0] != ',' && class[value[0]]&space == 0 {
		return 0, nil, false
	}
	value = skipSpace(value)
	if len(value) > 0 && (value[0] == ';' || value[0] == ',') {
		value = skipSpace(value[1:])
	}
	if url = refreshURL(value); len(url) == 0 {
		url = nil
	}
	return delay, url, true
}

// refreshURL takes the optional "url=" and quotes off.
func refreshURL(value []byte) []byte {
	if len(value) >= 3 && equalFold(value[:3], "url") {
		after := skipSpace(value[3:])
		if len(after) == 0 || after[0] != '=' {
			return value
		}
		value = skipSpace(after[1:])
	} else if len(value) > 0 && lower[value[0]] == 'u' {
		return value // which has no quotes to take off
	}
	if len(value) > 0 && (value[0] == '"' || value[0] == '\'') {
		quote := value[0]
		value = value[1:]
		if end := bytes.IndexByte(value, quote); end >= 0 {
			value = value[:end]
		}
	}
	return trim(value)
}

func skipSpace(b []byte) []byte {
	for len(b) > 0 && class[b[0]]&space != 0 {
		b = b[1:]
	}
	return b
}

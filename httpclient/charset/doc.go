// Package charset finds out in which character encoding a web page is written and
// turns it into UTF-8.
//
// Names and labels are those of the WHATWG Encoding Standard: a label such as
// "latin1" or " UTF8 " stands for an encoding whose canonical name, in lower case
// ("windows-1252", "utf-8"), is what this package returns.
//
// [Sniff] looks, in this order, at the byte order mark, the charset of the
// Content-Type header, the declaration within the first 1024 bytes (meta elements
// and the XML declaration, read as the HTML Standard says), whether the bytes
// happen to be valid UTF-8, and then settles for windows-1252, as browsers do.
// [Detect] is its short form. [Decode] converts a page in memory, [NewReader] one
// that is still coming in.
//
// Decoding never fails on bytes: what the encoding cannot explain becomes U+FFFD.
// The only error is [ErrUnknown], for a label that is not in the standard.
//
// All functions may be called from many goroutines.
package charset

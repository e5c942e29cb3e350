package crawler

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"
)

func FuzzDecodeCacheEntry(f *testing.F) {
	good := (&cacheEntry{time.Unix(1e9, 0), []byte("GET http://a/\nx"), []byte("HTTP/1.1 200 OK\r\n\r\n"), []byte("body")}).encode()
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte(cacheMagic))
	f.Add([]byte{})
	f.Add(good[:len(good)-cacheCRC])
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := decodeCacheEntry(text); err != nil { // as is nearly every one for its checksum
			text = binary.BigEndian.AppendUint32(text[:len(text):len(text)], crc32.Checksum(text, castagnoli))
		}
		e, err := decodeCacheEntry(text)
		if err != nil {
			return
		}
		again, err := decodeCacheEntry(e.encode())
		if err != nil || !again.stored.Equal(e.stored) || !bytes.Equal(again.key, e.key) || !bytes.Equal(again.head, e.head) || !bytes.Equal(again.body, e.body) {
			t.Errorf("%+v became %+v: %v", e, again, err)
		}
	})
}

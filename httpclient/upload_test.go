package httpclient

import (
	"io"
	"net/http"
	"testing"
)

// TestUploadKeepsConnection: a server may answer before the sending goroutine has
// noticed that the last byte is out. The connection serves on, and the count is right.
func TestUploadKeepsConnection(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	s := newSession(t, Config{})
	data := make([]byte, inlineBody+1)
	const rounds = 300
	for i := range rounds {
		body, opts := BytesBody(data), []RequestOption(nil)
		if i%2 == 1 {
			opts = append(opts, Chunked())
		}
		resp, err := s.Put(t.Context(), srv.URL, body, opts...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := resp.Bytes(); err != nil || resp.BytesSent() != int64(len(data)) {
			t.Fatalf("%d bytes sent, %v", resp.BytesSent(), err)
		}
	}
	if st := s.Connector().Stats(); st.Dials != 1 || st.Reused != rounds-1 {
		t.Errorf("%+v", st)
	}
}

package simweb

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// Control returns a handler by which another process watches the web. It serves
//
//	GET  /counts         Counts as JSON; ?host=N: of that host only
//	GET  /want           Want as JSON
//	GET  /seeds, /urls   Seeds and URLs, one a line
//	POST /reset          Reset
func (w *Web) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /counts", func(rw http.ResponseWriter, r *http.Request) {
		text := r.FormValue("host")
		if text == "" {
			writeJSON(rw, w.Counts())
			return
		}
		host, err := strconv.Atoi(text)
		if err != nil || host < 0 || host >= len(w.hosts) {
			http.Error(rw, "no such host", http.StatusNotFound)
			return
		}
		writeJSON(rw, w.HostCounts(host))
	})
	mux.HandleFunc("GET /want", func(rw http.ResponseWriter, _ *http.Request) { writeJSON(rw, w.Want()) })
	mux.HandleFunc("GET /seeds", func(rw http.ResponseWriter, _ *http.Request) {
		for _, u := range w.Seeds() {
			fmt.Fprintln(rw, u)
		}
	})
	mux.HandleFunc("GET /urls", func(rw http.ResponseWriter, _ *http.Request) {
		for u := range w.URLs() {
			fmt.Fprintln(rw, u)
		}
	})
	mux.HandleFunc("POST /reset", func(http.ResponseWriter, *http.Request) { w.Reset() })
	return mux
}

func writeJSON(rw http.ResponseWriter, c Counts) {
	rw.Header().Set("Content-Type", "application/json")
	// A client that went away is no concern of ours.
	_ = json.NewEncoder(rw).Encode(c)
}

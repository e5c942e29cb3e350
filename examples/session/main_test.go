package main

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/orbweaver/orbweaver/internal/exampletest"
)

func TestSession(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<form method="post"><input type="hidden" name="token" value="t"><input name="user"><input type="password" name="password"></form>`)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("user") != "me" || r.FormValue("password") != "secret" || r.FormValue("token") != "t" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "id", Value: "7", Path: "/"})
	})
	members := func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("id"); err != nil || c.Value != "7" {
			http.Error(w, "log in first", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<title>Members %s</title><a href="/more">more</a>`, r.URL.Path)
	}
	mux.HandleFunc("GET /{$}", members)
	mux.HandleFunc("GET /more", members)
	site := exampletest.Serve(t, mux)

	got := exampletest.Run(t, t.TempDir(), exampletest.Build(t),
		"-delay", "1ms", "-login", site+"/login", "-user", "me", "-password", "secret", site)
	want := site + "/ Members /\n" + site + "/more Members /more\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

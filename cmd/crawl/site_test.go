package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// site is a small web site made of files, at two loopback addresses.
//
// The path "/" is index.html, and a directory without its slash redirects to it. When it is asked as a proxy, the files of a host
// lie in a directory with the host's name. A query changes the answer:
// status=N, sleep=D, bytes=N (a body of that many bytes), type=T (media type)
// and cookie=K:V (a cookie to be set). Paths below /members want a session, which
// the form at /login gives to alice with the password hunter2, and else lead there.
type site struct {
	dir     string
	servers [2]*httptest.Server

	mu  sync.Mutex
	log strings.Builder
}

func startSite(dir string) (*site, error) {
	s := &site{dir: dir}
	for i := range s.servers {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:0", i+1))
		if err != nil {
			return nil, err
		}
		s.servers[i] = httptest.NewUnstartedServer(s)
		s.servers[i].Listener.Close()
		s.servers[i].Listener = l
		s.servers[i].Start()
	}
	return s, nil
}

func (s *site) address(i int) string { return s.servers[i].URL }

func (s *site) close() {
	for _, server := range s.servers {
		server.CloseClientConnections()
		server.Close()
	}
}

// requests is a line for each request since it was called last.
func (s *site) requests() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.log.Reset()
	return s.log.String()
}

func (s *site) note(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.log, "%s http://%s%s agent=%q", r.Method, r.Host, r.URL.RequestURI(), r.UserAgent())
	for _, name := range []string{"Cookie", "Authorization", "X-Test", "X-More", "Accept-Language"} {
		if v := r.Header.Get(name); v != "" {
			fmt.Fprintf(&s.log, " %s=%q", name, v)
		}
	}
	s.log.WriteByte('\n')
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.note(r)
	if s.wantsLogin(w, r) {
		return
	}
	q := r.URL.Query()
	if d, err := time.ParseDuration(q.Get("sleep")); err == nil {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
			return
		}
	}
	if name, value, ok := strings.Cut(q.Get("cookie"), ":"); ok {
		http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: 3600})
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if t := q.Get("type"); t != "" {
		w.Header().Set("Content-Type", t)
	}
	if n, err := strconv.ParseInt(q.Get("bytes"), 10, 64); err == nil {
		io.CopyN(w, zeros{}, n)
		return
	}
	if info, err := os.Stat(s.file(r)); err == nil && info.IsDir() {
		http.Redirect(w, r, r.URL.Path+"/", http.StatusMovedPermanently)
		return
	}
	text, err := os.ReadFile(s.file(r))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if status, err := strconv.Atoi(q.Get("status")); err == nil {
		w.WriteHeader(status)
	}
	w.Write(text)
}

// wantsLogin answers what belongs to the login.
func (s *site) wantsLogin(w http.ResponseWriter, r *http.Request) bool {
	c, err := r.Cookie("session")
	switch {
	case r.URL.Path == "/login" && r.Method == http.MethodPost:
		if r.FormValue("user") != "alice" || r.FormValue("password") != "hunter2" || r.FormValue("token") != "t" {
			http.Error(w, "who are you?", http.StatusForbidden)
			break
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "s", Path: "/"})
		http.Redirect(w, r, "/members/", http.StatusSeeOther)
	case r.URL.Path == "/login":
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<form method=post><input type=hidden name=token value=t><input name=user><input type=password name=password></form>`)
	case strings.HasPrefix(r.URL.Path, "/members/") && (err != nil || c.Value != "s"):
		http.Redirect(w, r, "/login", http.StatusFound)
	default:
		return false
	}
	return true
}

func (s *site) file(r *http.Request) string {
	path := r.URL.Path
	if strings.HasSuffix(path, "/") {
		path += "index.html"
	}
	if r.URL.IsAbs() { // we are asked as a proxy
		return filepath.Join(s.dir, r.URL.Hostname(), path)
	}
	return filepath.Join(s.dir, path)
}

// zeros is an endless text.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

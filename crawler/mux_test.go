package crawler

import (
	"context"
	"errors"
	"maps"
	"testing"
)

func TestMux(t *testing.T) {
	var got string
	to := func(name string) Handler {
		return HandlerFunc(func(_ context.Context, p *Page) error {
			got = name
			return nil
		})
	}
	m := NewMux()
	m.Add(Route{Host: "shop.example", Path: "/item/{id}", Handler: to("item")})
	m.Add(Route{Host: "shop.example", Path: "/item/{id}/reviews/{rest...}", Handler: to("reviews")})
	m.Add(Route{Host: "*.blog.example", Path: "/posts/", Handler: to("posts")})
	m.Add(Route{Host: "*.blog.example", Path: "/posts", Handler: to("post list")})
	m.Add(Route{Path: "/", Label: "front", Handler: to("labelled")})
	m.Add(Route{Type: "image/", Handler: to("image")})
	m.Add(Route{Type: "application/pdf", Handler: to("pdf")})
	m.Add(Route{Status: 404, Handler: to("gone")})
	m.Add(Route{Host: "shop.example:8080", Handler: to("port")})
	m.Add(Route{Host: ".Wiki.example", Handler: to("wiki")})
	m.Add(Route{Host: "stadt.example", Path: "/münchen/{what}", Handler: to("raw")})
	m.Add(Route{Host: "stadt.example", Path: "/k%c3%b6ln/{what...}", Handler: to("encoded")})
	m.Add(Route{Host: "stadt.example", Path: "/%7Bx%7D/100%", Handler: to("odd")})

	for _, tt := range []struct {
		page   Page
		want   string
		values map[string]string
	}{
		{Page{URL: "http://shop.example/item/7?x=1"}, "item", map[string]string{"id": "7"}},
		{Page{URL: "http://shop.example/item/"}, "", nil},
		{Page{URL: "http://shop.example/item/7/"}, "", nil},
		{Page{URL: "http://shop.example/item/7/reviews/"}, "reviews", map[string]string{"id": "7", "rest": ""}},
		{Page{URL: "http://shop.example/item/7/reviews/a/b"}, "reviews", map[string]string{"id": "7", "rest": "a/b"}},
		{Page{URL: "http://shop.example/item/7/reviews"}, "", nil},
		{Page{URL: "http://www.blog.example/posts/2024/a"}, "posts", nil},
		{Page{URL: "http://www.blog.example/posts/"}, "posts", nil},
		{Page{URL: "http://www.blog.example/posts"}, "post list", nil},
		{Page{URL: "http://blog.example/posts/"}, "", nil},
		{Page{URL: "http://x.example/any/thing", Label: "front"}, "labelled", nil},
		{Page{URL: "http://x.example/a.png", ContentType: "image/png"}, "image", nil},
		{Page{URL: "http://x.example/a.pdf", ContentType: "application/pdf"}, "pdf", nil},
		{Page{URL: "http://x.example/a", ContentType: "application/json"}, "", nil},
		{Page{URL: "http://x.example/a", Status: 404}, "gone", nil},
		{Page{URL: "http://x.example/a", Status: 500}, "", nil},
		{Page{URL: "http://shop.example:8080/a"}, "port", nil},
		{Page{URL: "http://shop.example:8080/item/7"}, "item", map[string]string{"id": "7"}},
		{Page{URL: "http://shop.example:8081/a"}, "", nil},
		{Page{URL: "http://wiki.example/a"}, "wiki", nil},
		{Page{URL: "http://en.wiki.example:81/a"}, "wiki", nil},
		{Page{URL: "http://stadt.example/münchen/größe"}, "raw", map[string]string{"what": "größe"}},
		{Page{URL: "http://stadt.example/m%c3%bcnchen/a%2Fb%20c"}, "raw", map[string]string{"what": "a/b c"}},
		{Page{URL: "http://stadt.example/münchen/%zz"}, "raw", map[string]string{"what": "%zz"}},
		{Page{URL: "http://stadt.example/münchen%2Fa"}, "", nil},
		{Page{URL: "http://stadt.example/köln/a/ö"}, "encoded", map[string]string{"what": "a/ö"}},
		{Page{URL: "http://stadt.example/{x}/100%25"}, "odd", nil},
		{Page{URL: "http://stadt.example/y/100%25"}, "", nil},
	} {
		got = ""
		p := tt.page
		if p.Status == 0 {
			p.Status = 200
		}
		if err := m.Handle(t.Context(), &p); err != nil {
			t.Errorf("%s: %v", p.URL, err)
		}
		if got != tt.want || !maps.Equal(p.values, tt.values) {
			t.Errorf("%s: %q %v, want %q %v", p.URL, got, p.values, tt.want, tt.values)
		}
	}
	for status, want := range map[int]bool{200: true, 204: true, 404: true, 500: false} {
		if m.WantsStatus(status) != want {
			t.Errorf("wants %d: %v", status, !want)
		}
	}
}

func TestMuxRefusesMistakes(t *testing.T) {
	h := HandlerFunc(func(context.Context, *Page) error { return nil })
	for _, r := range []Route{
		{Path: "/a"},
		{Path: "a", Handler: h},
		{Path: "/{a", Handler: h},
		{Path: "/{}", Handler: h},
		{Path: "/x{a}", Handler: h},
		{Path: "/{a...}/b", Handler: h},
		{Path: "/{a...}/", Handler: h},
		{Path: "/{a}{b}", Handler: h},
		{Path: "/a}", Handler: h},
		{Host: "http://example.org", Handler: h},
		{Host: "example.org:", Handler: h},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("route %q was taken", r.Path)
				}
			}()
			NewMux().Add(r)
		}()
	}
}

func TestChain(t *testing.T) {
	var trace string
	wrap := func(name string) Middleware {
		return func(next Handler) Handler {
			return HandlerFunc(func(ctx context.Context, p *Page) error {
				trace += name
				return next.Handle(ctx, p)
			})
		}
	}
	h := Chain(HandlerFunc(func(context.Context, *Page) error {
		trace += "h"
		return errors.ErrUnsupported
	}), wrap("a"), wrap("b"))
	if err := h.Handle(t.Context(), nil); !errors.Is(err, errors.ErrUnsupported) || trace != "abh" {
		t.Errorf("%v after %q", err, trace)
	}
}

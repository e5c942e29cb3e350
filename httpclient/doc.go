// Package httpclient is an HTTP client for programs that fetch much: one [Session],
// shared by all goroutines, over one [Connector] that owns the connections.
//
//	s, err := httpclient.New(httpclient.Config{})
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//
//	resp, err := s.Get(ctx, "https://example.org/")
//	if err != nil {
//		return err
//	}
//	defer resp.Release()
//	text, err := resp.Text()
//
// # Session and requests
//
// A Session has what requests share: default header, cookies, credentials, limits
// of time and size, proxy, middleware. [Session.Get], [Session.Post] and their kin
// take options ([Params], [Header], [JSON], [WithTimeout] and so on); a hot loop
// makes a [Request] with [NewRequest], sets its fields, and calls [Session.Do].
// [Fetch] sends one request without a session.
//
// URLs are sent as they are given: the client encodes what HTTP cannot carry, and
// decodes, sorts or tidies nothing.
//
// A request carries a [Body]: [BytesBody], [StringBody], [FormBody], [FileBody],
// [ReaderBody], [PipeBody], a [FormData] with files, or what [JSON] makes. One that can
// be sent again is, when a redirect or a kept-alive connection that was closed asks for
// it; [Compress] codes it.
//
// Redirects are followed, at most ten, and are the response's History. What is meant
// for one origin, such as credentials, does not go to another.
//
// # Credentials and cookies
//
// Credentials are those of the request ([Auth]), of its URL, of [Config].Netrc, or of
// the session. [DigestAuth] and [ProxyDigestAuth] are each a [Middleware] that answers
// challenges of the Digest scheme.
//
// A session keeps cookies in a [Jar] of its own, bounded and with a list of public
// suffixes. The jar can be listed, cleared, saved and loaded, also in the format that
// curl and wget read. [DummyJar] keeps nothing, and any http.CookieJar can be wrapped.
// Cookies go back in the bytes in which they came.
//
// # Responses hold connections
//
// A [Response] is returned when its head has come. Its body is read from the
// connection as the caller reads, so the connection is taken until the body has
// come to its end, or the response is released or closed. With a limit on
// connections, a response that is neither read nor released keeps other requests
// waiting: always defer [Response.Release]. It reads on a little to save the
// connection, where [Response.Close] cuts it.
//
// [Response.Bytes], [Response.AppendBody], [Response.Text] and [Response.JSON] read
// the whole; [Response.Body] is the [Stream] below them, with lines, chunks and
// what else there is to ask. Content codings (gzip, deflate, br, zstd, stacked) are
// undone; [Request.RawBody] gets the body as it was transferred, and [Request.Wire]
// every byte of the response, as [Request.WireOut] does of the request.
//
// The methods that read the whole give at most MaxBody bytes; what is longer is cut,
// and [Response.Truncated] says so. A body that ends before its time is given as far
// as it came, together with a [*PayloadError]: nothing is lost, and nothing is
// passed off as whole.
//
// Heads are read leniently, as browsers do. What was wrong is in
// [Response.Defects], the bytes as they came in [Response.RawHead].
//
// Who forgets a response is found by [Pool.Held], with [PoolConfig].Stacks.
//
// # Connections
//
// [TCPConnector] connects by TCP, directly or through http, https and SOCKS5
// proxies; [UnixConnector] by a Unix socket; [NewPool] makes a connector of any
// dial function. All have a [Pool]: a limit in all (100), a limit per host (none),
// and connections kept alive for 30 s or as long as the server says, if that is
// less. When a limit is reached, requests wait in order, and hosts take turns.
// An idle connection has no goroutine and no buffer. Before it is used again it is
// looked at; if the server closed it at that very moment, a request that can be
// repeated is, once.
//
// Two requests share a connection only if everything about it is equal: host,
// proxy and its credentials, TLS settings, pinned certificate, server name, and
// the token of [Isolate].
//
// [TCPConfig.Guard] is asked about each resolved address before it is connected
// to. That is the place to keep a crawler out of private networks: it also sees
// where redirects and names with changing addresses lead.
//
// Addresses come from the system, or with a [NameserverResolver] from given name
// servers, whose answers are kept as long as they hold. Both are asked once for all
// who want a name at a time.
//
// With [HTTP2], servers that agree to it by TLS are spoken to in HTTP/2, many
// requests over one connection, each counted by the limits like a connection. The
// first requests to a server share one dial. A request with Wire or WireOut speaks
// HTTP/1.1 all the same.
//
// Whatever ends a [Response] or a [Conn] may come twice, late, or from another
// goroutine: it never touches what somebody else does with the connection by then.
//
// # Limits of time
//
// [Timeout] limits each phase by itself: waiting for a slot, resolving, connecting,
// TLS handshake, proxy, first byte, each pause, and the whole. A [*TimeoutError] names the
// phase. The context given to a request ends it at any moment, its body included.
//
// # WebSocket
//
// [Session.DialWebSocket] opens a [WebSocket] by a request of the session: with its
// cookies, credentials, proxy and limits. Many may send and one receives; pings are
// answered and a dead peer is noticed whether or not anybody receives. Messages are
// compressed where both sides agree.
//
// # Errors
//
// Errors are typed, and belong to the tree of classes at [ErrClient]:
//
//	switch {
//	case errors.Is(err, httpclient.ErrDNS):
//	case errors.Is(err, httpclient.ErrServerTimeout):
//	case errors.Is(err, syscall.ECONNREFUSED):
//	}
//
// A status of 400 or more is no error, unless [Config] or the request has
// RaiseForStatus for CheckResponse.
//
// # Watching
//
// [Trace] is told what happens to a request, for one request, a session or a
// context; net/http/httptrace is served too. [Middleware] wraps the sending of each
// request: retries, signatures, caches. [Connector.Stats] counts.
package httpclient

package httpclient

import "testing"

// webSocketRows are the rows that have tests of their own.
var webSocketRows = []parityRow{
	{name: "B/ws_connect", prove: TestWebSocketHandshakeCarriesTheSession},
	{name: "D/ws_connect", prove: TestDialWebSocketWithoutSession},

	{name: "I/ws_connect_protocols", prove: TestWebSocketFacts},
	{name: "I/ws_connect_timeout", prove: TestWebSocketCloseIsBounded},
	{name: "I/ws_connect_receive_timeout", prove: TestWebSocketReceiveWaits},
	{name: "I/ws_connect_autoclose", prove: TestWebSocketNoAutoClose},
	{name: "I/ws_connect_autoping", prove: TestWebSocketNoAutoPing},
	{name: "I/ws_connect_heartbeat", prove: TestWebSocketHeartbeat},
	{name: "I/ws_connect_auth_origin_headers", prove: TestWebSocketHandshakeCarriesTheSession},
	{name: "I/ws_connect_proxy", prove: TestWebSocketThroughProxy},
	{name: "I/ws_connect_tls", prove: TestWebSocketTLSAndRedirect},
	{name: "I/ws_connect_compress", prove: TestWebSocketCompressionWindow},
	{name: "I/handshake_check", prove: TestWebSocketHandshakeRefused},
	{name: "I/closed_protocol", prove: TestWebSocketFacts},
	{name: "I/close_code", prove: TestWebSocketPeerCloses},
	{name: "I/compress_client_notakeover", prove: TestWebSocketCompression},
	{name: "I/get_extra_info", prove: TestWebSocketFacts},
	{name: "I/exception", prove: TestWebSocketConnectionLost},
	{name: "I/ping_pong", prove: TestWebSocketPingPong},
	{name: "I/send_str_bytes_json", prove: TestWebSocketMessages},
	{name: "I/close", prove: TestWebSocketClose},
	{name: "I/receive", prove: TestWebSocketFragments},
	{name: "I/receive_str_bytes_json", prove: TestWebSocketMessages},
	{name: "I/iteration", prove: TestWebSocketPeerCloses},
	{name: "I/several_writers", prove: TestWebSocketManyWriters},
	{name: "I/one_reader", prove: TestWebSocketOneReceiver},
	{name: "I/types_and_codes", prove: TestWSNames},
	{name: "I/websocket_error", prove: TestWebSocketProtocolErrors},
	{name: "I/max_msg_size", prove: TestWebSocketProtocolErrors},

	{name: "J/form_data", prove: func(t *testing.T) {
		t.Run("urlencoded", TestFormDataURLEncoded)
		t.Run("multipart", TestFormDataMultipart)
		t.Run("quote_fields", TestFormDataPercentNames)
		t.Run("charset", TestFormDataCharset)
		t.Run("transfer_encoding", TestFormDataTransferEncodings)
	}},
	{name: "J/basic_auth_charset", prove: TestBasicAuthHeader},
	{name: "J/basic_auth_from_url", prove: TestBasicAuthFromURL},
	{name: "J/url", reason: "a string or *url.URL; canonical URLs are the crawler's"},
}

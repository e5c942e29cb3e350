// Package frontiertest is the test that every frontier.Backend passes. A Backend's own test is one call:
//
//	func TestBackend(t *testing.T) { frontiertest.Run(t, open) }
//
// Most of it goes through a frontier.Frontier, on virtual time: what matters is what a crawl sees. It ends each test with
// Frontier.Check.
package frontiertest

// Package warcio holds a test that reads archives of both kinds, those written
// during a crawl and those exported afterwards, by warcio for JavaScript, which the
// tools of Webrecorder are built on. It runs with the build tag warcio, and wants in
// the environment variable WARCIO a directory with read.mjs and what "npm ci" has
// installed beside it; ".ci/run warcio" makes one.
package warcio

//go:build race

package crawler_test

// raceDetector says that these tests run with it, and take several times as long and as much memory.
const raceDetector = true

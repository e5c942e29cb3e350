//go:build !race

package crawler_test

const raceDetector = false

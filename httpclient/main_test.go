package httpclient

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(benchServerEnv) != "" {
		benchServe()
		return
	}
	goleak.VerifyTestMain(m)
}

package frontier

import "github.com/cespare/xxhash/v2"

// Fingerprint identifies a URL among those of its host: XXH64 of the URL with the job's random key as its seed.
//
// Two URLs of one host with equal fingerprints count as one, so the second is never fetched. On a host with n URLs the
// odds of any such pair are about n²/2⁶⁵: 3·10⁻⁸ for a million URLs, 3·10⁻⁴ for a hundred million. Over 100,000 hosts with
// 10,000 URLs each they are 3·10⁻⁷. XXH64 is no cryptographic hash: a site could make URLs of its own collide, and so hide pages
// of its own, never those of another host.
func Fingerprint(key uint64, url string) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(key)
	_, _ = d.WriteString(url)
	return d.Sum64()
}

package links

// MarshalText returns what [Kind.String] does, and nothing for the empty set.
func (k Kind) MarshalText() ([]byte, error) {
	if k == 0 {
		return nil, nil
	}
	return []byte(k.String()), nil
}

// UnmarshalText reads what [ParseKinds] does.
func (k *Kind) UnmarshalText(text []byte) (err error) {
	*k, err = ParseKinds(string(text))
	return err
}

package tokens

// Collect makes s look as it does after the Cache of a login was collected and before its cleanup runs.
func Collect(s *Sessions, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.caches[id] = session{stats: s.caches[id].stats}
}

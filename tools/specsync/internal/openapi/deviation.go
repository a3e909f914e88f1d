package openapi

// Deviation is one entry of an x-deviation: it allows a keyword of its node, or a member of a keyword as in
// "properties/from", to differ from upstream.
type Deviation struct {
	// Pointer is the JSON Pointer of the node that carries x-deviation.
	Pointer string
	Keyword string
	Reason  string
}

const deviationKey = "x-deviation"

// Deviations returns all x-deviation entries of the document in order.
func (d *Document) Deviations() []Deviation {
	var all []Deviation
	for p := range d.Nodes() {
		entries := p.Child(deviationKey)
		for _, keyword := range entries.Keys() {
			all = append(all, Deviation{Pointer: p.Pointer, Keyword: keyword, Reason: entries.Child(keyword).Text()})
		}
	}
	return all
}

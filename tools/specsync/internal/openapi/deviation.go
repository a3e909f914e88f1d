package openapi

// Deviation is one entry of an x-deviation: a keyword of the node that carries it, or a member of the keyword as in
// "properties/from", may differ from upstream.
type Deviation struct {
	// Pointer is the JSON Pointer of the node that carries x-deviation.
	Pointer string
	Keyword string
	Reason  string
}

const deviationKey = "x-deviation"

// Deviations returns every x-deviation entry of the document in its order.
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

package sandbox

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOldestTokensAreForgotten(t *testing.T) {
	var l ledger
	first, second := l.issue("", token{family: &family{}}), l.issue("", token{family: &family{}})
	for range maxTokens - 2 {
		l.issue("", token{family: &family{}})
	}
	assert.NotNil(t, l.find(first))
	l.issue("", token{family: &family{}})
	assert.Nil(t, l.find(first))
	assert.NotNil(t, l.find(second))
	assert.Len(t, l.tokens, maxTokens)
	l.issue("", token{family: &family{}})
	assert.Nil(t, l.find(second))
	assert.Len(t, l.tokens, maxTokens)
}

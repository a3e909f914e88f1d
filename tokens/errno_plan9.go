package tokens

// brokenErrnos are none, because Plan 9 has no error numbers.
var brokenErrnos []error

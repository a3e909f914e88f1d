package tokens

// brokenErrnos is empty, because Plan 9 has no error numbers.
var brokenErrnos []error

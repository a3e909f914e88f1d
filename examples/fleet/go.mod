module github.com/grantwright/oauth-go/examples/fleet

go 1.26.0

replace (
	github.com/grantwright/oauth-go => ../..
	github.com/grantwright/oauth-go/tokens/redisstore => ../../tokens/redisstore
)

require (
	github.com/grantwright/oauth-go v0.0.0
	github.com/grantwright/oauth-go/tokens/redisstore v0.0.0
	github.com/redis/go-redis/v9 v9.23.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/apapsch/go-jsonmerge/v2 v2.0.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/oapi-codegen/runtime v1.8.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.48.0 // indirect
)

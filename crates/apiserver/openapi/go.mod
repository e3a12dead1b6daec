module tidegate.io/openapi-definitions

go 1.26.0

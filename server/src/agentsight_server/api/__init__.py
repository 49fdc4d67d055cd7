"""The REST API: one module a resource, structs in and out."""

"""The API's description for people and client generators (OpenAPI 3.1), by subject."""

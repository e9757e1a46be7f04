"""The OpenAPI 3.1 document, one module for each part."""

"""The HTTP/1.1 parser for model servers' responses, which are not always written as the standard says."""

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

Parser = HttpResponseParser
PARSER_ERRORS = (HttpParserError, HttpParserUpgrade)


def response_parser(protocol: object) -> Parser:
    """Return a parser that calls `protocol`, and accepts what other HTTP clients accept.

    Lines may end with LF alone, headers may be folded, spaces may follow a chunk's size, and a length beside
    chunks does not count. These leniencies are dangerous to servers, which share a connection among clients
    of a proxy; here one connection has one request at a time.
    """
    parser = Parser(protocol)
    parser.set_dangerous_leniencies(
        lenient_headers=True,
        lenient_chunked_length=True,
        lenient_optional_cr_before_lf=True,
        lenient_spaces_after_chunk_size=True,
    )
    return parser

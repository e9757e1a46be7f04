/* What the page uses of marked. */
export class Marked {
  constructor(options?: object);
  use(extension: { extensions?: object[]; tokenizer?: { [token: string]: (this: { rules: { block: { [rule: string]: RegExp } } }, text: string) => false | undefined }; renderer?: { [token: string]: (this: { parser: { parseInline(tokens: unknown[]): string } }, token: any) => string | false } }): void;
  lexer(text: string): { raw: string; type: string }[];
  parser(tokens: object[]): string;
  parse(text: string, options: { async: false }): string;
}

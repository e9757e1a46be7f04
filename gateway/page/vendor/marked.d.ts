/* What the page uses of marked. */
type Rule = (this: object, text: string, ...more: any[]) => any;
export class Marked {
  constructor(options?: object);
  defaults: object;
  Tokenizer: { prototype: { [token: string]: Rule } };
  Lexer: new (options: object) => { lex(text: string): Token[]; blockTokens(text: string): Token[] };
  use(extension: { extensions?: object[]; tokenizer?: { [token: string]: (this: { rules: { block: { [rule: string]: RegExp } } }, text: string) => any }; renderer?: { [token: string]: (this: { parser: { parseInline(tokens: unknown[]): string } }, token: any) => string | false } }): void;
  parser(tokens: object[]): string;
}
interface Token { raw: string; type: string }

/* What the page uses of DOMPurify. */
declare const DOMPurify: { sanitize(html: string, options: object): string };
export default DOMPurify;

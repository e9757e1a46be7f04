/** Views that are not always drawn with what is around them. To keep a view and show it again would keep all that was around it. */

/** @template T @param {(before: T, next: T) => boolean} differs true: draw it again @param {(props: T) => any} view
 * @returns {(this: any, props: T) => any} */
export function drawnAgainIf(differs, view) {
  return function (props) {
    this.shouldComponentUpdate ??= (/** @type {T} */ next) => differs(this.props, next);
    return view(props);
  };
}

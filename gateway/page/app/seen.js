/** Says when the visitor sees the page. Browsers open six connections to a host over HTTP/1.1, for all tabs together: hidden ones must not hold them. */

const HIDDEN_MS = 5000;

export function isSeen() {
  return document.visibilityState === "visible";
}

/** Call `hide` when the page has been hidden for a while, and `show` when it is seen again.
 * @param {{show: () => void, hide: () => void}} calls @returns {() => void} ends the watching */
export function watchSeen({ show, hide }) {
  let timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  let hidden = !isSeen();
  const hear = () => {
    clearTimeout(timer);
    if (!isSeen()) {
      timer = setTimeout(() => {
        hidden = true;
        hide();
      }, HIDDEN_MS);
    } else if (hidden) {
      hidden = false;
      show();
    }
  };
  document.addEventListener("visibilitychange", hear);
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", hear);
  };
}

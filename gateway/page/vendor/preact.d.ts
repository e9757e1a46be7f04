/* What the page uses of preact, its hooks and htm. */
export type Ref<T> = { current: T };
export function render(view: unknown, parent: Element): void;
export function html(strings: TemplateStringsArray, ...values: unknown[]): any;
export function useState<T>(first: T | (() => T)): [T, (next: T | ((before: T) => T)) => void];
export function useEffect(effect: () => void | (() => unknown), inputs?: readonly unknown[]): void;
export function useLayoutEffect(effect: () => void | (() => unknown), inputs?: readonly unknown[]): void;
export function useMemo<T>(make: () => T, inputs: readonly unknown[]): T;
export function useRef<T>(first: T): Ref<T>;
export function useCallback<T>(callback: T, inputs: readonly unknown[]): T;
export function useErrorBoundary(tell?: (error: unknown) => void): [unknown, () => void];

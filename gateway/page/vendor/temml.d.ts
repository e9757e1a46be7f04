/* Loaded when needed; untyped. */
declare const library: any;
export default library;

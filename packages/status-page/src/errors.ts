/** Codes of `StatusPageError`. */
export type StatusPageErrorCode = "STATUS_PAGE_MISSING";

/** The files of the page are not there: they are built with `npm run build`. */
export class StatusPageError extends Error {
  override readonly name = "StatusPageError";
  readonly code: StatusPageErrorCode;

  constructor(code: StatusPageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

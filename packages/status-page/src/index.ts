export { StatusPageError, type StatusPageErrorCode } from "./errors.js";
export {
  readStatusPage,
  STATUS_PAGE_PATHS,
  STATUS_PAGE_POLICY,
  type StatusPageFile,
  type StatusPagePath,
} from "./status-page.js";

export { FOREIGN_URI, ForeignRd } from "./foreign-rd.js";

export { PLAIN_RD_URI, PlainRd } from "./plain-rd.js";

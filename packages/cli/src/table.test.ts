import { expect, test } from "vitest";
import { formatTable } from "./table.js";

test("columns line up, numbers at their end, without blanks at the end of lines", () => {
  expect(
    formatTable(
      ["NAME", "COUNT", "ERROR"],
      [
        ["rd-a", "7", ""],
        ["größer", "1234", "no answer"],
      ],
      new Set([1]),
    ),
  ).toEqual(["NAME    COUNT  ERROR", "rd-a        7", "größer   1234  no answer"]);
});

test("control characters do not reach the terminal", () => {
  expect(formatTable(["A"], [["\u001b[2J\n"]])).toEqual(["A", "?[2J?"]);
});

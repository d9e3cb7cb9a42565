import { type ComponentChildren, Fragment, type JSX } from "preact";

/** A column of a table. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** Right-aligned, with digits of one width. */
  readonly isNumber?: boolean;
}

interface TableProps<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  /** What is shown below a row, over its whole width; null: nothing. */
  readonly detail?: (row: Row) => ComponentChildren;
  readonly empty: ComponentChildren;
}

/** A table; on a narrow screen each row is a block with the titles in front. The roles keep it a table there for screen readers. */
export function Table<Row>({ caption, columns, rows, keyOf, detail, empty }: TableProps<Row>): JSX.Element {
  if (rows.length === 0) return <p class="muted">{empty}</p>;
  return (
    <table role="table">
      <caption class="unseen">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ title, isNumber }) => (
            <th key={title} role="columnheader" scope="col" class={isNumber ? "number" : undefined}>
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => {
          const below = detail?.(row) ?? null;
          return (
            <Fragment key={keyOf(row)}>
              <tr role="row" class={below === null ? undefined : "opened"}>
                {columns.map(({ title, cell, isNumber }) => (
                  <td key={title} role="cell" data-title={title} class={isNumber ? "number" : undefined}>
                    {cell(row)}
                  </td>
                ))}
              </tr>
              {below === null ? null : (
                <tr role="row" class="detail">
                  <td role="cell" colSpan={columns.length}>
                    {below}
                  </td>
                </tr>
              )}
            </Fragment>
          );
        })}
      </tbody>
    </table>
  );
}

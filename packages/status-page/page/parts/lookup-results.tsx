import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useFetched } from "../data/fetched.ts";
import { attributeOf, lookUp, otherAttributes } from "../data/lookup.ts";
import { formatRoute } from "../data/route.ts";
import type { LinkView } from "../data/types.ts";
import { EndpointName, Name, Uri } from "./name.tsx";
import { type Column, Table } from "./table.tsx";
import { WhyPanel } from "./why-panel.tsx";

interface ResultsProps {
  readonly links: readonly LinkView[];
}

const EMPTY = "Nothing that is shown matches. What is hidden is among all records.";

/** Endpoints of a lookup; each can be asked why it is shown. */
export function EndpointResults({ links }: ResultsProps): JSX.Element {
  const [opened, setOpened] = useState<string | null>(null);
  const columns: Column<LinkView>[] = [
    {
      title: "Endpoint",
      cell: (link) => (
        <WhyButton
          title={<Name text={attributeOf(link, "ep") ?? "?"} />}
          link={link}
          opened={opened}
          setOpened={setOpened}
        />
      ),
    },
    { title: "Sector", cell: (link) => <Name text={attributeOf(link, "d") ?? "–"} /> },
    { title: "Base", cell: (link) => <Uri text={attributeOf(link, "base") ?? "–"} /> },
    { title: "Registration", cell: ({ target }) => <Uri text={target} /> },
    {
      title: "Attributes",
      cell: (link) => <Attributes of={otherAttributes(link, ["ep", "d", "base", "rt", "provenance"])} />,
    },
  ];
  return (
    <Table
      caption="Endpoints"
      rows={links}
      keyOf={({ target }) => target}
      columns={columns}
      detail={(link) =>
        opened === link.target ? <WhyPanel ep={attributeOf(link, "ep") ?? ""} d={attributeOf(link, "d") ?? ""} /> : null
      }
      empty={EMPTY}
    />
  );
}

/** Resources of a lookup; each can be asked whose it is, and why it is shown. */
export function ResourceResults({ links }: ResultsProps): JSX.Element {
  const [opened, setOpened] = useState<string | null>(null);
  const numbered = links.map((link, at) => ({ link, key: `${at} ${link.target}` }));
  return (
    <Table
      caption="Resources"
      rows={numbered}
      keyOf={({ key }) => key}
      columns={[
        {
          title: "Resource",
          cell: ({ link, key }) => (
            <WhyButton
              title={<Name text={link.target} />}
              link={{ ...link, target: key }}
              opened={opened}
              setOpened={setOpened}
            />
          ),
        },
        { title: "Type", cell: ({ link }) => <Name text={attributeOf(link, "rt") ?? "–"} /> },
        { title: "Interface", cell: ({ link }) => <Name text={attributeOf(link, "if") ?? "–"} /> },
        { title: "Attributes", cell: ({ link }) => <Attributes of={otherAttributes(link, ["rt", "if"])} /> },
      ]}
      detail={({ link, key }) => (opened === key ? <Owner target={link.target} /> : null)}
      empty={EMPTY}
    />
  );
}

interface WhyButtonProps {
  readonly title: JSX.Element;
  readonly link: LinkView;
  readonly opened: string | null;
  readonly setOpened: (target: string | null) => void;
}

function WhyButton({ title, link, opened, setOpened }: WhyButtonProps): JSX.Element {
  const isOpen = opened === link.target;
  return (
    <button
      type="button"
      class="disclose"
      aria-expanded={isOpen}
      onClick={() => setOpened(isOpen ? null : link.target)}
    >
      {title}
      <span class="unseen"> – why it is shown</span>
    </button>
  );
}

function Attributes({ of: attributes }: { readonly of: readonly string[] }): JSX.Element {
  if (attributes.length === 0) return <span class="muted">–</span>;
  return (
    <>
      {attributes.map((text) => (
        <Uri key={text} text={text} />
      ))}
    </>
  );
}

/** The endpoints that have registered a resource (RFC 9176 section 6.2: `href` matches links of a registration). */
function Owner({ target }: { readonly target: string }): JSX.Element {
  const { value, error } = useFetched(target, (signal) => lookUp("ep", [{ name: "href", value: target }], 0, signal));
  if (error !== null) return <p class="warn-text">{error}</p>;
  if (value === null) return <p class="muted">Looking for its endpoint …</p>;
  const owners = value.links.map((link) => ({ ep: attributeOf(link, "ep") ?? "", d: attributeOf(link, "d") }));
  const [owner] = owners;
  if (owner === undefined) return <p class="muted">No endpoint that is shown has this resource any more.</p>;
  if (owners.length === 1)
    return (
      <>
        <p>
          Registered by <EndpointName {...owner} />
        </p>
        <WhyPanel ep={owner.ep} d={owner.d ?? ""} />
      </>
    );
  return (
    <>
      <p>Registered by {value.hasNext ? "many endpoints, for example" : "several endpoints"}</p>
      <ul class="owners">
        {owners.map(({ ep, d }) => (
          <li key={`${ep} ${d ?? ""}`}>
            <a href={formatRoute("search", { why: ep, d: d ?? "" })}>
              <EndpointName ep={ep} d={d} />
            </a>
          </li>
        ))}
      </ul>
    </>
  );
}

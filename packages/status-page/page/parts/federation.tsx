import type { JSX } from "preact";
import { formatNumber } from "../data/format.ts";
import type { NodeView, UpstreamView } from "../data/types.ts";
import { Name } from "./name.tsx";
import { kindOfPhase, Status, type StatusKind } from "./status.tsx";

const ROW_PX = 64;
const WIDTH_PX = 80;

const SHOWN_FOLLOWERS = 8;

/** Who follows whom: upstreams on the left, then this node, then those who follow it; its peers below. */
export function Federation({
  node,
  upstreams,
}: {
  readonly node: NodeView;
  readonly upstreams: readonly UpstreamView[];
}): JSX.Element {
  const { peers = [], followers } = node;
  return (
    <div class={`federation${followers === undefined ? "" : " followed"}${upstreams.length === 0 ? " leading" : ""}`}>
      {upstreams.length === 0 ? null : (
        <>
          <p class="direction small muted" aria-hidden="true">
            follows
          </p>
          <ul class="upstreams" aria-label={`Upstreams of ${node.name}`}>
            {upstreams.map(({ name, phase, registrations, mode, tier }) => (
              <li key={name} class={`pill ${kindOfPhase(phase)}`}>
                <strong>
                  <Name text={name} />
                </strong>
                <span class="small">
                  <Status kind={kindOfPhase(phase)}>{phase}</Status>{" "}
                  <span class="muted">
                    {tier ? "lookup proxy, " : ""}
                    {mode === "forward" ? "asked, not copied" : `${formatNumber(registrations)} copied`}
                  </span>
                </span>
              </li>
            ))}
          </ul>
          <Streams kinds={upstreams.map(({ phase }) => kindOfPhase(phase))} />
        </>
      )}
      <div class="pill self">
        <strong>
          <Name text={node.name} />
        </strong>
        <span class="small muted">this node</span>
        <span class="small">{formatNumber(node.registrations.visible)} shown</span>
      </div>
      {followers === undefined ? null : <Followers followers={followers} of={node.name} />}
      {peers.length === 0 ? null : (
        <ul class="peers" aria-label="Peers with the same address">
          {peers.map(({ name, uri, up }) => (
            <li key={uri} class="pill">
              <strong>
                <Name text={name} />
              </strong>
              <span class="small">
                <Status kind={up ? "good" : "warn"}>{up ? "peer is up" : "peer is away"}</Status>
              </span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** Who follows the feeds of this node. Addresses are those of sockets: only who proves a name has one here. */
function Followers({
  followers,
  of,
}: {
  readonly followers: NonNullable<NodeView["followers"]>;
  readonly of: string;
}): JSX.Element {
  const shown = followers.list.slice(0, SHOWN_FOLLOWERS);
  const more = followers.count - shown.length;
  const kinds = shown.map(({ current }): StatusKind => (current ? "good" : "idle"));
  return (
    <>
      <Streams kinds={more > 0 ? [...kinds, "idle"] : kinds} isFanning />
      <p class="direction small muted" aria-hidden="true">
        is followed by
      </p>
      <ul class="upstreams" aria-label={`Followers of ${of}`}>
        {shown.map(({ peer, transport, name, current }) => (
          <li key={`${transport} ${peer}`} class={`pill ${current ? "good" : ""}`}>
            <strong>
              <Name text={name ?? peer} />
            </strong>
            <span class="small">
              <Status kind={current ? "good" : "idle"}>{current ? "up to date" : "catching up"}</Status>{" "}
              <span class="muted">{transport.toUpperCase()}</span>
            </span>
          </li>
        ))}
        {more > 0 ? <li class="pill">and {formatNumber(more)} more</li> : null}
      </ul>
    </>
  );
}

interface StreamsProps {
  readonly kinds: readonly StatusKind[];
  /** From one to many instead of from many to one. */
  readonly isFanning?: boolean;
}

/** One stream for each entry of a list; they flow while it is live. */
function Streams({ kinds, isFanning = false }: StreamsProps): JSX.Element {
  const height = kinds.length * ROW_PX;
  const middle = height / 2;
  return (
    <svg
      class="streams"
      viewBox={`0 0 ${WIDTH_PX} ${height}`}
      width={WIDTH_PX}
      height={height}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {kinds.map((kind, at) => {
        const y = at * ROW_PX + ROW_PX / 2;
        const [from, to] = isFanning ? [middle, y] : [y, middle];
        const path = `M0 ${from}C${WIDTH_PX / 2} ${from} ${WIDTH_PX / 2} ${to} ${WIDTH_PX} ${to}`;
        return (
          <g key={path} class={kind}>
            <path class="bed" d={path} />
            <path class="water" d={path} />
          </g>
        );
      })}
    </svg>
  );
}
